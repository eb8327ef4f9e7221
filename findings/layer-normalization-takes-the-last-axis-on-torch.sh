#!/usr/bin/env bash
# On torch, LayerNormalization(axis=1) takes the last axis instead, where both are of one length.
#
# keras 3.15.1 with torch 2.13.0 and jax 0.10.2; Python 3.11, Linux, CPU.
#
# The layer normalizes along the axes that it is given: with axis=1 each column of a sample gets the mean
# 0 and the deviation 1. jax and tensorflow (2.21.0) do that, and so does RMSNormalization with the root mean
# square. On torch, samples of 64 steps with 64 features are normalized along the features instead, and
# images of 8 x 8 with 8 channels along columns and channels in place of rows and columns: the results are far
# from right, without an error or a warning. Where the axes are of other lengths than the last ones, torch
# raises; along the last axis, which is the default, the layers are right.
#
# Where the axes are next to one another, Keras calls torch's layer_norm and rms_norm, which take the
# lengths of the last axes, and never axes: Keras gives them the lengths of the axes that were asked for.
#
# Seen, as the largest difference from float64 NumPy:
#   jax   layer, last axis: 0.00  axis 1: 0.00  axes 1 and 2 of images: 0.00  rms, last axis: 0.00  rms, axis 1: 0.00
#   torch layer, last axis: 0.00  axis 1: 2.90  axes 1 and 2 of images: 2.34  rms, last axis: 0.00  rms, axis 1: 2.82
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/normal.py" <<'PYTHON'
import keras
import numpy as np

random = np.random.default_rng(0)
series = random.normal(size=(2, 64, 64)).astype("float32") * np.arange(1, 65)
images = random.normal(size=(2, 8, 8, 8)).astype("float32") * np.arange(1, 9)


def expected(values, axes, centered):
    values = values.astype("float64")
    if centered:
        values = values - values.mean(axes, keepdims=True)
    return values / np.sqrt(np.square(values).mean(axes, keepdims=True))


def difference(layer, values, axes, centered):
    result = keras.ops.convert_to_numpy(layer(axis=axes, epsilon=1e-7)(values))
    return np.abs(result - expected(values, axes, centered)).max()


layer, root = keras.layers.LayerNormalization, keras.layers.RMSNormalization
found = {
    "layer, last axis": difference(layer, series, -1, centered=True),
    "axis 1": difference(layer, series, 1, centered=True),
    "axes 1 and 2 of images": difference(layer, images, (1, 2), centered=True),
    "rms, last axis": difference(root, series, -1, centered=False),
    "rms, axis 1": difference(root, series, 1, centered=False),
}
backend = keras.backend.backend()
print(f"{backend:5}", "  ".join(f"{name}: {value:.2f}" for name, value in found.items()))
wrong = {"axis 1", "axes 1 and 2 of images", "rms, axis 1"} if backend == "torch" else set()
assert {name for name, value in found.items() if value > 0.5} == wrong
assert all(value < 0.001 for name, value in found.items() if name not in wrong)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/normal.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

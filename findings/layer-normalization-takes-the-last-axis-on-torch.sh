#!/usr/bin/env bash
# On torch, LayerNormalization(axis=1) takes the last axis instead, where both are of one length.
#
# keras 3.15.1 with torch 2.13.0 and jax 0.10.2; Python 3.11, Linux, CPU.
#
# The layer normalizes along the axes that it is given: with axis=1 each column of a sample gets the mean
# 0 and the deviation 1. jax and tensorflow (2.21.0) do that. On torch, samples of 64 steps with 64 features are
# normalized along the features instead, and images of 8 x 8 with 8 channels along columns and channels in
# place of rows and columns: the results are far from right, without an error or a warning. Where the axes are
# of other lengths than the last ones, torch raises; along the last axis, which is the default, it is right.
#
# Where the axes are next to one another, Keras calls torch's layer_norm, which takes the lengths of the last
# axes, and never axes: Keras gives it the lengths of the axes that were asked for.
#
# Seen, as the largest difference from float64 NumPy, along the axes that were asked for and along the last ones:
#   jax   last axis: 0.00, 0.00  axis 1: 0.00, 2.90  axes 1 and 2 of images: 0.00, 2.34
#   torch last axis: 0.00, 0.00  axis 1: 2.90, 0.00  axes 1 and 2 of images: 2.34, 0.00
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


def difference(result, values, axes):
    values = values.astype("float64")
    values = values - values.mean(axes, keepdims=True)
    expected = values / np.sqrt(np.square(values).mean(axes, keepdims=True))
    return np.abs(result - expected).max()


cases = {
    "last axis": (series, -1, -1),
    "axis 1": (series, 1, -1),
    "axes 1 and 2 of images": (images, (1, 2), (2, 3)),
}
found = {}
for name, (values, asked, last) in cases.items():
    layer = keras.layers.LayerNormalization(axis=asked, epsilon=1e-7)
    result = keras.ops.convert_to_numpy(layer(values))
    found[name] = difference(result, values, asked), difference(result, values, last)
backend = keras.backend.backend()
print(f"{backend:5}", "  ".join(f"{name}: {a:.2f}, {b:.2f}" for name, (a, b) in found.items()))
for name, (from_asked, from_last) in found.items():
    right, other = (from_last, from_asked) if backend == "torch" else (from_asked, from_last)
    assert right < 0.001
    assert other > 0.5 or name == "last axis"
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/normal.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

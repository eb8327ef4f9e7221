#!/usr/bin/env bash
# On torch, average pooling with padding="same" counts the last row and column of an image twice.
#
# keras 3.15.1 with jax 0.10.2, torch 2.13.0 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# Padding is no data: at the border, the average is that of the values that are there. 0 0 0 12 in windows
# of three, two apart, is 0 and 6, the mean of 0 and 12, on jax and tensorflow. On torch it is 0 and 8, the
# mean of 0, 12 and 12. So it is with AveragePooling2D(3, strides=2, padding="same") of any image whose
# sides are even: the values at the right and at the lower border, and with them the predictions of one
# set of weights, differ by backend. With an odd side, or strides of 1, the padding of a window of three is
# the same on both sides, and torch agrees.
#
# For padding on one side Keras pads the image itself, by torch's "replicate", and pools what is then
# there; for padding on both it leaves it to torch, with count_include_pad=False.
#
# Seen:
#   jax         of 4: [0. 6.]  of 5: [0. 0. 6.]  corner of an image: 12.5
#   tensorflow  of 4: [0. 6.]  of 5: [0. 0. 6.]  corner of an image: 12.5
#   torch       of 4: [0. 8.]  of 5: [0. 0. 6.]  corner of an image: 13.3333
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/pool.py" <<'PYTHON'
import keras
import numpy as np


def pooled(values, layer):
    found = layer(3, strides=2, padding="same")(values.reshape(1, *values.shape, 1))
    return keras.ops.convert_to_numpy(found)[0, ..., 0]


def mean_of_what_is_there(values):
    """Windows of three, two apart, of which the padding is left out."""
    total = max((-(-len(values) // 2) - 1) * 2 + 3 - len(values), 0)
    starts = range(-(total // 2), len(values) - 3 + total - total // 2 + 1, 2)
    return np.array([values[max(start, 0) : start + 3].mean() for start in starts])


backend = keras.backend.backend()
even, odd = np.array([0, 0, 0, 12], "float32"), np.array([0, 0, 0, 0, 12], "float32")
image = np.arange(16, dtype="float32").reshape(4, 4)
of_even, of_odd = (pooled(row, keras.layers.AveragePooling1D) for row in (even, odd))
corner = float(pooled(image, keras.layers.AveragePooling2D)[-1, -1])
print(f"{backend:10}  of 4: {of_even}  of 5: {of_odd}  corner of an image: {corner:g}")
assert list(mean_of_what_is_there(even)) == [0, 6]
assert list(of_odd) == list(mean_of_what_is_there(odd)) == [0, 0, 6]
if backend == "torch":
    assert list(of_even) == [0, 8] and abs(corner - 40 / 3) < 1e-3
else:
    assert list(of_even) == [0, 6] and corner == image[2:, 2:].mean()
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/pool.py" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

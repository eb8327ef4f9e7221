#!/usr/bin/env bash
# On jax and torch, keras.ops.image.gaussian_blur blurs columns and channels, not rows and columns.
#
# keras 3.15.1 with jax 0.10.2, torch 2.13.0 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# One point of the first of three channels is 1, all else is 0, and it lies away from the edges. A blur
# keeps the sum of the channel, which is 1, and leaves the others at 0. So it is on tensorflow and with
# Keras' numpy backend. On jax and torch 0.45 is left in the first channel, 0.27 is in the second, and
# the row above has nothing.
#
# The default of data_format is None, which should mean the image format of the configuration. These two
# backends compare it with "channels_last" only, and otherwise take (rows, columns, channels) for
# (channels, rows, columns). With data_format="channels_last" they are right; keras.layers.
# RandomGaussianBlur passes it.
#
# Seen:
#   numpy       sums of the channels [1. 0. 0.]         row above 0.27  given the format: [1. 0. 0.]
#   tensorflow  sums of the channels [1. 0. 0.]         row above 0.27  given the format: [1. 0. 0.]
#   jax         sums of the channels [0.45 0.27 0.  ]   row above 0.00  given the format: [1. 0. 0.]
#   torch       sums of the channels [0.45 0.27 0.  ]   row above 0.00  given the format: [1. 0. 0.]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/blur.py" <<'PYTHON'
import sys

import keras
import numpy as np

image = np.zeros((5, 5, 3), "float32")
image[2, 2, 0] = 1
blur = keras.ops.image.gaussian_blur
default = keras.ops.convert_to_numpy(blur(image, (3, 3), (1.0, 1.0)))
given = keras.ops.convert_to_numpy(blur(image, (3, 3), (1.0, 1.0), data_format="channels_last"))
sums = default.sum((0, 1)).round(2)
print(
    f"{keras.backend.backend():10}  sums of the channels {str(sums):18}"
    f" row above {default[1].sum():.2f}  given the format: {given.sum((0, 1)).round(2)}"
)
np.testing.assert_allclose(given.sum((0, 1)), [1, 0, 0], atol=1e-6)
is_right = np.allclose(default, given, atol=1e-6)
assert is_right == (sys.argv[1] == "right")
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for run in numpy:right tensorflow:right jax:wrong torch:wrong; do
    KERAS_BACKEND=${run%:*} "$dir/venv/bin/python" "$dir/blur.py" "${run#*:}" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

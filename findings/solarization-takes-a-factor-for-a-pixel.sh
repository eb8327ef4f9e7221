#!/usr/bin/env bash
# Keras' Solarization inverts pixels far below its threshold, as it takes the lower factor for a pixel value.
#
# keras 3.15.1; jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# threshold_factor=(0.9, 0.9) means that pixels above 0.9 * 255 = 229.5 are inverted, and that a pixel of 100
# stays 100. In almost half of the images it becomes 155. The layer multiplies the upper factor by 255, and not
# the lower one: each image's threshold is drawn from 0.9 to 229.5. In the same way addition_factor=(0.4, 0.4)
# adds anything from 0.4 to 102 in place of 102. Single numbers, which mean a range from 0, are right.
#
# Seen, of 1,000 images of a pixel of 100:
#   threshold (0.9, 0.9)  46% of 100 are inverted to 155, 0% expected
#   addition (0.4, 0.4)   adds 0.4 to 101.9, 102 expected
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/solarize.py" <<'PYTHON'
import warnings

import keras
import numpy as np

warnings.simplefilter("error")  # none is given
images = np.full((1000, 1, 1, 1), 100, "float32")


def solarize(**factors):
    layer = keras.layers.Solarization(seed=0, **factors)
    return keras.ops.convert_to_numpy(layer(images, training=True)).ravel()


inverted = solarize(threshold_factor=(0.9, 0.9))
assert set(inverted.tolist()) == {100, 155}
share = (inverted == 155).mean()
print(f"threshold (0.9, 0.9)  {share:.0%} of 100 are inverted to 155, 0% expected")
assert abs(share - (100 - 0.9) / (229.5 - 0.9)) < 0.05

# Above a threshold of 0 every pixel is inverted, to 255 less its sum: 53 for an addition of 102.
added = 255 - solarize(addition_factor=(0.4, 0.4)) - 100
print(f"addition (0.4, 0.4)   adds {added.min():.1f} to {added.max():.1f}, 102 expected")
assert added.min() < 1 and 101 < added.max() < 102.1

# A single number is a range from 0.
single = 255 - solarize(addition_factor=0.4) - 100
assert single.min() < 1 and 101 < single.max() < 102.1
PYTHON

export KERAS_BACKEND=jax KERAS_HOME="$dir/keras"
"$dir/venv/bin/python" "$dir/solarize.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

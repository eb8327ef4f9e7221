#!/usr/bin/env bash
# RandomPosterization(factor=4) never keeps four bits of a pixel: it keeps one, two or three.
#
# keras 3.15.1 with jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU. The backend makes no difference.
#
# The factor is documented as "the number of bits to keep for each channel". Four bits are 16 values, which
# a ramp from 0 to 255 should be left with. It is left with 2, 4 or 8, another number for each image, and
# factor=8, which should change nothing, leaves at most 128, and 2, as in black and white, in one of seven. An
# augmentation that is meant to be mild is the strongest that there is. factor=1 keeps one bit;
# factor=(4, 4) keeps four, always.
#
# As for other layers, one number is the upper end of a range from which each image draws. The lower end is 1,
# and of the integers that are drawn the upper end is left out.
#
# Seen, of 500 images each:
#   factor  values expected  values found
#   1                     2  [2]
#   2                     4  [2]
#   4                    16  [2, 4, 8]
#   8                   256  [2, 4, 8, 16, 32, 64, 128]
#   (4, 4)               16  [16]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/posterization.py" <<'PYTHON'
import keras
import numpy as np

ramp = np.tile(np.arange(256, dtype="float32").reshape(1, 16, 16, 1), (500, 1, 1, 3))
print("factor  values expected  values found")
for factor, bits in [(1, {1}), (2, {1}), (4, {1, 2, 3}), (8, set(range(1, 8))), ((4, 4), {4})]:
    kept = factor if isinstance(factor, int) else factor[0]
    expected = np.unique(np.arange(256) >> (8 - kept)).size
    layer = keras.layers.RandomPosterization(factor, seed=0)
    images = keras.ops.convert_to_numpy(layer(ramp, training=True))
    found = sorted({np.unique(image).size for image in images})
    print(f"{factor!s:6}  {expected:15}  {found}")
    assert found == sorted(2**bit for bit in bits)
    assert (expected in found) == (factor in (1, (4, 4)))
PYTHON

cd "$dir"
export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax CUDA_VISIBLE_DEVICES=""
venv/bin/python posterization.py 2> log || { cat log; exit 1; }

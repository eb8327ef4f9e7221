#!/usr/bin/env bash
# RandomSaturation of an image from 0 to 255 returns pixels below 0, as low as -50,800.
#
# keras 3.15.1 with jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU.
# The other backends do the same, with other random numbers.
#
# factor=0.5 leaves an image as it is, 1.0 makes it "fully saturated": of the pixel 200, 100, 50 the brightest
# channel stays 200, the darkest goes to 0, and what is saturated cannot become more so. With the default
# value_range=(0, 255) the darkest one goes on below 0: to -25 with 0.6, to -400 with 0.8, and to -50,800
# with 1.0. RandomSaturation(0.9) leaves the range in more than a fifth of random images, and so does
# RandomColorJitter(saturation_factor=0.9). Images from 0 to 1 with value_range=(0, 1) come out as they should.
#
# The saturation that Keras multiplies is a fraction, for images from 0 to 255 too; it is cut off
# at the highest value of a pixel, in place of 1.
#
# Seen:
#   factor  expected             of 0 to 255                    of 0 to 1, times 255
#   0.3     [200. 157. 136.]     [200. 157. 136.]               [200. 157. 136.]
#   0.5     [200. 100.  50.]     [200. 100.  50.]               [200. 100.  50.]
#   0.6     [200.  67.   0.]     [200.  50. -25.]               [200.  67.   0.]
#   0.8     [200.  67.   0.]     [ 200. -200. -400.]            [200.  67.   0.]
#   1.0     [200.  67.   0.]     [   200. -33800. -50800.]      [200.  67.   0.]
#   RandomSaturation(0.9): 45 of 200 images with a pixel below 0, the lowest -1683
#   RandomColorJitter: 45 of 200 images with a pixel below 0, the lowest -1683
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/saturation.py" <<'PYTHON'
import colorsys

import keras
import numpy as np


def saturated(pixel, factor, value_range):
    image = np.array(pixel, dtype="float32").reshape(1, 1, 1, 3)
    layer = keras.layers.RandomSaturation((factor, factor), value_range=value_range)
    return keras.ops.convert_to_numpy(layer(image, training=True)).ravel()


def by_colorsys(pixel, factor):
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in pixel))
    saturation = min(saturation * factor / (1 - factor + 1e-7), 1)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255


pixel = (200, 100, 50)
np.set_printoptions(suppress=True)
print(f"factor  {'expected':21}{'of 0 to 255':31}of 0 to 1, times 255")
for factor, lowest in [(0.3, None), (0.5, 50), (0.6, -25), (0.8, -400), (1.0, -50_800)]:
    right = by_colorsys(pixel, factor)
    of_bytes = saturated(pixel, factor, (0, 255))
    of_fractions = saturated(np.array(pixel) / 255, factor, (0, 1)) * 255
    shown = [str(found.round()) for found in (right, of_bytes, of_fractions)]
    print(f"{factor}     {shown[0]:21}{shown[1]:31}{shown[2]}")
    np.testing.assert_allclose(of_fractions, right, atol=0.01)
    assert right.min() > -0.01
    if factor > 0.5:
        np.testing.assert_allclose(of_bytes.min(), lowest, rtol=1e-3)
    else:
        np.testing.assert_allclose(of_bytes, right, atol=0.01)

images = np.random.default_rng(0).uniform(0, 255, (200, 4, 4, 3)).astype("float32")
for name, layer in {
    "RandomSaturation(0.9)": keras.layers.RandomSaturation(0.9, seed=0),
    "RandomColorJitter": keras.layers.RandomColorJitter(saturation_factor=0.9, seed=0),
}.items():
    found = keras.ops.convert_to_numpy(layer(images, training=True))
    below = int((found.min(axis=(1, 2, 3)) < -1).sum())
    print(f"{name}: {below} of 200 images with a pixel below 0, the lowest {found.min():.0f}")
    assert below > 20 and found.min() < -500
PYTHON

cd "$dir"
export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax CUDA_VISIBLE_DEVICES=""
venv/bin/python saturation.py 2> log || { cat log; exit 1; }

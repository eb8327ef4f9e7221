#!/usr/bin/env bash
# Keras' Equalization and MelSpectrogram give a sample other numbers in a batch than alone.
#
# keras 3.15.1; jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# Equalization spreads the values of an image over the whole range. In a batch one expects the same for each
# image. But it counts the values of all images together, so that a dark image beside a bright one stays in the
# dark half: what a network sees of an image depends on its neighbours, and predict of one image differs from
# predict of many. AutoContrast treats each image by itself.
#
# MelSpectrogram cuts off what is more than top_db, which is 80, below the peak. It takes the loudest peak of
# the batch: of a sound of a thousandth of the amplitude, 80 decibels are left alone, and 20 beside a loud one.
# Without decibels the numbers are the same.
#
# Seen, of the same dark image and the same low sound, the smallest and the largest value, alone and in a batch:
#   Equalization        0.0  255.0       0.0  126.0
#   AutoContrast        0.0  255.0       0.0  255.0
#   MelSpectrogram    -85.2   -5.2     -25.2   -5.2
#   MelSpectrogram      0.0    0.3       0.0    0.3
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/batch.py" <<'PYTHON'
import keras
import numpy as np

dark = np.arange(64, dtype="float32").reshape(8, 8, 1)
images = np.stack([dark, dark + 192])
loud = np.sin(np.arange(16000, dtype="float32") * 2 * np.pi * 440 / 16000)
sounds = np.stack([loud / 1000, loud])
layers = (
    (keras.layers.Equalization(), images),
    (keras.layers.AutoContrast(), images),
    (keras.layers.MelSpectrogram(), sounds),
    (keras.layers.MelSpectrogram(power_to_db=False), sounds),
)


def ends(values):
    return f"{values.min():7.1f} {values.max():6.1f}"


found = []
for layer, batch in layers:
    alone = keras.ops.convert_to_numpy(layer(batch[:1], training=True))[0]
    beside = keras.ops.convert_to_numpy(layer(batch, training=True))[0]
    print(f"{type(layer).__name__:15} {ends(alone)}   {ends(beside)}")
    found.append((alone, beside))

equalized, contrasted, decibels, power = found
assert equalized[0].min() == 0 and equalized[0].max() == 255
assert equalized[1].min() == 0 and 126 <= equalized[1].max() <= 128
for alone, beside in (contrasted, power):
    assert np.allclose(alone, beside, rtol=1e-4)
assert 79 < np.ptp(decibels[0]) < 81 and 19 < np.ptp(decibels[1]) < 21
PYTHON

export KERAS_BACKEND=jax KERAS_HOME="$dir/keras"
"$dir/venv/bin/python" "$dir/batch.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

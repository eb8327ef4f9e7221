#!/usr/bin/env bash
# MeanSquaredError and other metrics of Keras compute modulo 256 on 8-bit images; the losses do not.
#
# keras 3.15.1 with jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU. The backend makes no difference.
#
# Two images of 100 and 200 everywhere are 100 apart: a squared error of 10,000. As they are loaded, in uint8,
# keras.metrics.MeanSquaredError gives 16 for them, and MeanAbsoluteError 156 if the prediction is the
# brighter one. The losses of the same names give what is right. Of an image and the same with noise of
# deviation 20 the metric is 85 in place of 351: a number that looks plausible, and better than it is. With
# predictions in floats, whatever the labels are, all of them are right.
#
# A loss casts both to floats before it compares them. The function that the metric calls, which is also
# keras.losses.mean_squared_error, casts the labels to the dtype of the prediction and subtracts in it, and
# the metric casts what comes out.
#
# Seen:
#                                 float64   metric     loss  metric of floats
#   squared, 100 for 200          10000.0     16.0  10000.0           10000.0
#   absolute, 100 for 200           100.0    100.0    100.0             100.0
#   absolute, 200 for 100           100.0    156.0    100.0             100.0
#   squared, of a noisy image       351.2     85.2    351.2             351.2
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/errors.py" <<'PYTHON'
import keras
import numpy as np

rng = np.random.default_rng(0)
image = rng.integers(0, 256, (32, 32)).astype("uint8")
noisy = np.clip(image + rng.normal(scale=20, size=image.shape), 0, 255).astype("uint8")
flat = [np.full((2, 2), value, dtype="uint8") for value in (100, 200)]


def metric(name, labels, predicted):
    measured = getattr(keras.metrics, name)()
    measured.update_state(labels, predicted)
    return float(measured.result())


print(f"{'':28}  float64   metric     loss  metric of floats")
seen = {}
for what, name, labels, predicted in [
    ("squared, 100 for 200", "MeanSquaredError", flat[1], flat[0]),
    ("absolute, 100 for 200", "MeanAbsoluteError", flat[1], flat[0]),
    ("absolute, 200 for 100", "MeanAbsoluteError", flat[0], flat[1]),
    ("squared, of a noisy image", "MeanSquaredError", image, noisy),
]:
    apart = labels.astype("float64") - predicted
    right = np.mean(apart**2 if name == "MeanSquaredError" else abs(apart))
    measured = metric(name, labels, predicted)
    loss = float(getattr(keras.losses, name)()(labels, predicted))
    of_floats = metric(name, labels, predicted.astype("float32"))
    print(f"{what:28}  {right:7.1f}  {measured:7.1f}  {loss:7.1f}  {of_floats:16.1f}")
    np.testing.assert_allclose([loss, of_floats], right, rtol=1e-5)
    seen[what] = (round(right, 1), round(measured, 1))
assert seen["squared, 100 for 200"] == (10000, 16)
assert seen["absolute, 100 for 200"] == (100, 100)
assert seen["absolute, 200 for 100"] == (100, 156)
right, measured = seen["squared, of a noisy image"]
assert measured < right / 2
PYTHON

cd "$dir"
export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax CUDA_VISIBLE_DEVICES=""
venv/bin/python errors.py 2> log || { cat log; exit 1; }

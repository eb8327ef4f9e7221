#!/usr/bin/env bash
# On torch, BatchNormalization takes the variance of air pressures for 0, and returns hundreds.
#
# keras 3.15.1 with jax 0.10.2, torch 2.13.0 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# To normalize what is not yet normalized is what the layer is for. 64 pressures of 101,325 Pa, give or take
# 20, have a variance of 333 and come out with a standard deviation of 1 on jax and tensorflow, in training
# and, by the moving variance, in prediction. On torch the variance is 0: with epsilon=0.001 they come out
# with a deviation of 577. Give or take 5, it is 1,024 instead of 21, and they come out with 0.14. So it is
# with GroupNormalization and keras.ops.moments. LayerNormalization, keras.ops.var and Normalization.adapt
# are right.
#
# Keras' torch backend computes the variance as the mean of the squares less the square of the mean, in
# float32, which holds 10,266,755,625 to the nearest 1,024.
#
# Seen:
#   jax         20 Pa: variance 332.7, output 1  5 Pa: variance 20.79, output 0.9999
#   tensorflow  20 Pa: variance 332.7, output 1  5 Pa: variance 20.79, output 0.9999
#   torch       20 Pa: variance 0, output 576.8  5 Pa: variance 1024, output 0.1425
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/pressure.py" <<'PYTHON'
import keras
import numpy as np


def deviation(values):
    return float(keras.ops.convert_to_numpy(values).std())


backend, told = keras.backend.backend(), []
for spread in (20, 5):
    noise = np.random.default_rng(0).normal(0, spread, (64, 1))
    pressures = (101_325 + noise).astype("float32")
    true = pressures.astype("float64").var()
    layer = keras.layers.BatchNormalization(momentum=0.0)  # the moving variance is the last one
    trained = deviation(layer(pressures, training=True))
    variance = float(keras.ops.convert_to_numpy(layer.moving_variance)[0])
    predicted = deviation(layer(pressures, training=False))
    grouped = deviation(keras.layers.GroupNormalization(1)(pressures.T))
    told.append(f"{spread} Pa: variance {variance:.4g}, output {trained:.4g}")
    outputs = np.array([trained, predicted, grouped])
    if backend == "torch":
        assert abs(variance - true) > 0.9 * true
        assert ((outputs > 100) | (outputs < 0.2)).all()
    else:
        assert abs(variance - true) < 0.01 * true
        assert np.allclose(outputs, 1, atol=0.01)
    assert np.isclose(float(keras.ops.var(pressures)), true, rtol=0.01)
    assert np.isclose(deviation(keras.layers.LayerNormalization()(pressures.T)), 1, atol=0.01)
print(f"{backend:10}  {'  '.join(told)}")
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/pressure.py" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

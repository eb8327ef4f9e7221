#!/usr/bin/env bash
# Keras' ScheduleFreeAdamW takes other steps on tensorflow than on jax.
#
# keras 3.15.1 with tensorflow-cpu 2.21.0 and with jax 0.10.2; Python 3.11, Linux, CPU.
#
# One weight starts at 1, and gets the gradients 1, 1, -1, 0.5 and 1 with a learning rate of 0.1. The
# first step is alike on both. From the second on the weight differs in the third digit: by the fifth
# by a hundredth. torch (2.13.0) computes what tensorflow computes. jax agrees with the same update in
# float64 NumPy, which the script contains; tensorflow agrees with it if the momentum of before the
# step is replaced by the one after it.
#
# The update needs both. Keras keeps the old one as `momentum.value` before it changes the variable.
# On jax that is an array, which never changes. On tensorflow it is the variable itself, and on torch
# the tensor that is changed in place, so that the old momentum reads as the new one.
#
# Seen:
#   numpy, old momentum  0.9000 0.8450 0.8700 0.8595 0.8261
#   numpy, new momentum  0.9000 0.8500 0.8667 0.8611 0.8361
#   jax                  0.9000 0.8450 0.8700 0.8595 0.8261
#   tensorflow           0.9000 0.8500 0.8667 0.8611 0.8361
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/steps.py" <<'PYTHON'
import sys

import keras
import numpy as np

GRADIENTS = (1.0, 1.0, -1.0, 0.5, 1.0)


def in_numpy(uses_old: bool) -> list[float]:
    """The update in float64, with Keras' defaults: beta_1 0.9, beta_2 0.999, epsilon 1e-8."""
    weight, momentum, velocity, weights = 1.0, 1.0, 0.0, []
    for step, gradient in enumerate(GRADIENTS, 1):
        old = momentum
        velocity += 0.001 * (gradient**2 - velocity)
        momentum -= 0.1 * gradient / (np.sqrt(velocity / (1 - 0.999**step)) + 1e-8)
        average = (weight - 0.1 * (old if uses_old else momentum)) / 0.9
        average += (momentum - average) / step
        weight = 0.1 * momentum + 0.9 * average
        weights.append(float(weight))
    return weights


def in_keras() -> list[float]:
    weight = keras.Variable(np.ones(1, "float32"))
    optimizer = keras.optimizers.ScheduleFreeAdamW(learning_rate=0.1)
    weights = []
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
        weights.append(float(keras.ops.convert_to_numpy(weight.value)[0]))
    return weights


uses_old = sys.argv[1] == "old"
expected, found = in_numpy(uses_old), in_keras()
for name, weights in ((f"numpy, {sys.argv[1]} momentum", expected), (keras.backend.backend(), found)):
    print(f"{name:20}", *(f"{weight:.4f}" for weight in weights))
np.testing.assert_allclose(found, expected, atol=5e-5)
assert abs(in_numpy(True)[-1] - in_numpy(False)[-1]) > 0.005
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
KERAS_BACKEND=jax "$dir/venv/bin/python" "$dir/steps.py" old 2> "$dir/log" || { cat "$dir/log"; exit 1; }
KERAS_BACKEND=tensorflow "$dir/venv/bin/python" "$dir/steps.py" new 2> "$dir/log" || { cat "$dir/log"; exit 1; }

#!/usr/bin/env bash
# On tensorflow, keras.ops.vdot of complex vectors takes no conjugate: a signal can have no power.
#
# keras 3.15.1 with tensorflow-cpu 2.21.0 and jax 0.10.2; Python 3.11, Linux, CPU.
#
# Keras documents, as NumPy does, that vdot takes the complex conjugate of its first argument, so that
# vdot(x, x) is the sum of the squares of the absolute values. jax and torch (2.13.0) do so. On tensorflow
# it is the sum of the squares themselves, as keras.ops.dot gives it: of a turn of the unit circle in 8 steps,
# whose power is 8, it is 0.
#
# Keras' tensorflow backend makes the arguments flat and calls dot, and never tf.math.conj.
#
# Seen, for the turn with itself, and for 1 + 2j and 3 - 1j, where NumPy gives 1 - 7j:
#   jax         power 8.000  product 1-7j
#   tensorflow  power 0.000  product 5+5j
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/vdot.py" <<'PYTHON'
import keras
import numpy as np

turn = np.exp(2j * np.pi * np.arange(8) / 8).astype("complex64")
pair = np.array([1 + 2j], dtype="complex64"), np.array([3 - 1j], dtype="complex64")
power = complex(keras.ops.convert_to_numpy(keras.ops.vdot(turn, turn)))
product = complex(keras.ops.convert_to_numpy(keras.ops.vdot(*pair)))

backend = keras.backend.backend()
print(f"{backend:10}  power {abs(power):.3f}  product {product:.0f}")
expected = (np.vdot(turn, turn), np.vdot(*pair)) if backend == "jax" else (0, np.dot(*pair))
np.testing.assert_allclose([power, product], expected, atol=1e-5)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/vdot.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

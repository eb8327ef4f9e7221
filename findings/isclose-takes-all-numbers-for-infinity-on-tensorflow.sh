#!/usr/bin/env bash
# On tensorflow, keras.ops.isclose says that each number is close to infinity, but infinity is not.
#
# keras 3.15.1 with jax 0.10.2 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# In NumPy, on jax and on torch an infinity is close to one of the same sign, and to nothing else. On tensorflow
# it is the other way round: 1 is close to infinity, and so is minus infinity, as an infinite difference is
# within a tolerance relative to infinity; but infinity is not close to itself, as that difference is NaN. So
# a check that a loss has not changed passes once the new one has overflowed.
#
# Seen:
#   jax         inf and inf [ True]  -inf and inf [False]  1 and inf [False]
#   tensorflow  inf and inf [False]  -inf and inf [ True]  1 and inf [ True]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/isclose.py" <<'PYTHON'
import keras
import numpy as np
from keras import ops

backend = keras.backend.backend()
infinity = np.array([np.inf], "float32")
numbers = {"inf": infinity, "-inf": -infinity, "1": np.ones_like(infinity)}
found = {
    name: ops.convert_to_numpy(ops.isclose(number, infinity)) for name, number in numbers.items()
}
print(f"{backend:10}  " + "  ".join(f"{name} and inf {close}" for name, close in found.items()))
for name, number in numbers.items():
    assert found[name] == (np.isclose(number, infinity) != (backend == "tensorflow")), name
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/isclose.py" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

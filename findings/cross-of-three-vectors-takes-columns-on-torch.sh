#!/usr/bin/env bash
# On torch, keras.ops.cross of three vectors multiplies the columns; of any other number, the rows.
#
# keras 3.15.1 with jax 0.10.2, torch 2.13.0 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# Vectors lie along the last axis by default, as in NumPy, and each has a product of its own. On torch
# these are right for 2 and 4 vectors; of 3 vectors each product is that of columns: far from right,
# without an error. axis=-1, given explicitly, is right.
#
# Where no axis is given, Keras passes None to torch.cross, which takes the first dimension of size 3.
# torch itself warns of that once.
#
# Seen, as the largest difference from NumPy for 2, 3 and 4 vectors, and for 3 with axis=-1:
#   jax         0 0 0 0
#   tensorflow  0 0 0 0
#   torch       0 4067 0 0
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/cross.py" <<'PYTHON'
import sys

import keras
import numpy as np


def difference(count, **axis):
    first = np.arange(3 * count, dtype="float32").reshape(count, 3) ** 2
    second = first[::-1] + np.eye(count, 3, dtype="float32")
    result = keras.ops.convert_to_numpy(keras.ops.cross(first, second, **axis))
    return int(np.abs(result - np.cross(first, second)).max())


found = [difference(2), difference(3), difference(4), difference(3, axis=-1)]
print(f"{keras.backend.backend():10} ", *found)
assert found == [0, int(sys.argv[1]), 0, 0]
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for run in jax:0 tensorflow:0 torch:4067; do
    KERAS_BACKEND=${run%:*} "$dir/venv/bin/python" "$dir/cross.py" "${run#*:}" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

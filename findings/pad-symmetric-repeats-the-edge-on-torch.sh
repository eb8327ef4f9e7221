#!/usr/bin/env bash
# On torch, keras.ops.pad(mode="symmetric") repeats the edge instead of mirroring the array.
#
# keras 3.15.1 with jax 0.10.2, torch 2.13.0 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# 1 2 3 4 with two values before and after it is 2 1 | 1 2 3 4 | 4 3 as NumPy pads symmetrically, and so
# it is on jax and tensorflow. On torch it is 1 1 | 1 2 3 4 | 4 4, without a word. One value on each side
# is the same on all, as then both mean the edge.
#
# torch has no symmetric padding, and Keras calls its "replicate", which is NumPy's "edge".
#
# Seen:
#   jax         one [1 1 2 3 4 4]  two [2 1 1 2 3 4 4 3]
#   tensorflow  one [1 1 2 3 4 4]  two [2 1 1 2 3 4 4 3]
#   torch       one [1 1 2 3 4 4]  two [1 1 1 2 3 4 4 4]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/pad.py" <<'PYTHON'
import sys

import keras
import numpy as np

row = np.array([[1, 2, 3, 4]], "float32")


def padded(width):
    values = keras.ops.pad(row, ((0, 0), (width, width)), mode="symmetric")
    return keras.ops.convert_to_numpy(values).astype(int)[0]


print(f"{keras.backend.backend():10}  one {padded(1)}  two {padded(2)}")
assert list(padded(1)) == list(np.pad(row[0], 1, mode="symmetric"))
assert list(padded(2)) == list(np.pad(row[0], 2, mode=sys.argv[1]))
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for run in jax:symmetric tensorflow:symmetric torch:edge; do
    KERAS_BACKEND=${run%:*} "$dir/venv/bin/python" "$dir/pad.py" "${run#*:}" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

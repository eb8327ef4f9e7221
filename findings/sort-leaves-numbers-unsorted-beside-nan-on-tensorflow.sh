#!/usr/bin/env bash
# On tensorflow, keras.ops.sort leaves numbers unsorted if one of the values is NaN.
#
# keras 3.15.1 with jax 0.10.2 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# NumPy, jax and torch put a missing measurement, as NaN, behind all numbers, and take it for the largest:
# sort, argsort, argmax and top_k agree. On tensorflow the numbers on either side of the NaN are not put in
# order with each other, argmax steps over it (max, of the same values, is NaN), and top_k has it second.
# What reads percentiles or ranks off the sorted values gets wrong ones without a word.
#
# Seen:
#   jax         sort [ 1.  2.  3. nan]  argsort [2 3 0 1]  argmax 1  max nan  top_k [nan  3.]
#   tensorflow  sort [ 1.  3. nan  2.]  argsort [2 0 1 3]  argmax 0  max nan  top_k [ 3. nan]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/sort.py" <<'PYTHON'
import keras
import numpy as np
from keras import ops

backend = keras.backend.backend()
values = np.array([3, np.nan, 1, 2], "float32")
ordered, order, best = (
    ops.convert_to_numpy(found)
    for found in (ops.sort(values), ops.argsort(values), ops.top_k(values, 2)[0])
)
largest, highest = int(ops.argmax(values)), float(ops.max(values))
print(f"{backend:10}  sort {ordered}  argsort {order}  argmax {largest}  max {highest}  top_k {best}")
expected = np.sort(values)
if backend == "tensorflow":
    assert not np.array_equal(ordered, expected, equal_nan=True)
    numbers = ordered[~np.isnan(ordered)]
    assert list(numbers) == [1, 3, 2] and largest == 0 and np.isnan(highest)
    assert best[0] == 3 and np.isnan(best[1])
else:
    assert np.array_equal(ordered, expected, equal_nan=True)
    assert list(order) == list(np.argsort(values)) and largest == np.argmax(values)
    assert np.isnan(highest) and np.isnan(best[0]) and best[1] == 3
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/sort.py" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

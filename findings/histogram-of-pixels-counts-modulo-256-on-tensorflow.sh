#!/usr/bin/env bash
# On tensorflow, keras.ops.histogram counts the pixels of an image modulo 256.
#
# keras 3.15.1 with jax 0.10.2 and tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# Of 4,096 pixels of 8 bits, about a thousand are in each of four bins, in NumPy and on jax. On tensorflow
# it is 222, 248, 248 and 50, the rests of division by 256, without a word. The borders of the bins lose
# their fractions, too: the integers 0 to 10, of any dtype, are counted as 2, 3, 2 and 4, in bins from 0, 2,
# 5 and 7, in place of 3, 2, 3 and 3, in bins from 0, 2.5, 5 and 7.5. The same values as float32 are counted
# alike on both.
#
# The backend computes both the borders and the counts in the dtype of the data.
#
# Seen:
#   jax         pixels [1011 1013 1009 1063]  0 to 10 [3 2 3 3] from [0.  2.5 5.  7.5]
#   tensorflow  pixels [222 248 248  50]  0 to 10 [2 3 2 4] from [0 2 5 7]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/histogram.py" <<'PYTHON'
import keras
import numpy as np


def histogram(values):
    counts, edges = map(keras.ops.convert_to_numpy, keras.ops.histogram(values, bins=4))
    return counts.astype(int), edges


backend = keras.backend.backend()
pixels = np.random.default_rng(0).integers(0, 256, 4096).astype("uint8")
numbers = np.arange(11, dtype="int32")
counts, _ = histogram(pixels)
(of_numbers, edges) = histogram(numbers)
print(f"{backend:10}  pixels {counts}  0 to 10 {of_numbers} from {edges[:-1]}")
expected, borders = np.histogram(numbers, bins=4)
for values in (pixels, numbers):
    assert list(histogram(values.astype("float32"))[0]) == list(np.histogram(values, bins=4)[0])
if backend == "tensorflow":
    assert counts.max() < 256 and counts.sum() < 4096
    assert list(of_numbers) == [2, 3, 2, 4] and list(edges) == [0, 2, 5, 7, 10]
else:
    assert list(counts) == list(np.histogram(pixels, bins=4)[0])
    assert list(of_numbers) == list(expected) and np.allclose(edges, borders)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/histogram.py" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

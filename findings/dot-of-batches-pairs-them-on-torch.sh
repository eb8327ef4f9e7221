#!/usr/bin/env bash
# On torch, keras.ops.dot of two batches of matrices multiplies them in pairs, not each with each.
#
# keras 3.15.1 with torch 2.13.0 and jax 0.10.2; Python 3.11, Linux, CPU.
#
# As in NumPy, and as Keras documents it, dot(a, b)[i, j, k, m] is the sum of a[i, j, :] * b[k, :, m]: of 4
# matrices and 4 others it has 16 products. jax and tensorflow (2.21.0) return them. On torch it returns 4,
# as keras.ops.matmul does, while the shape that Keras announces for a model is the documented one. A
# matrix and a batch of matrices have each product on every backend, but on torch the axis of the batch comes
# first: where all sizes are equal, the numbers are in other places, and nothing else tells.
#
# Keras calls torch.matmul, which broadcasts, in the place of a sum of products.
#
# Seen, as the shape of dot of 4 matrices of 3 x 2 and 4 of 2 x 5, the shape that Keras announces, and, for a
# matrix and a batch of 2 matrices, all of 2 x 2, the numbers in the wrong place:
#   jax    (4, 3, 4, 5)  announced (4, 3, 4, 5)  in the wrong place: 0 of 8
#   torch  (4, 3, 5)  announced (4, 3, 4, 5)  in the wrong place: 4 of 8
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/dot.py" <<'PYTHON'
import keras
import numpy as np

first = np.arange(24, dtype="float32").reshape(4, 3, 2)
second = np.arange(40, dtype="float32").reshape(4, 2, 5) % 7
result = keras.ops.convert_to_numpy(keras.ops.dot(first, second))
announced = keras.ops.dot(keras.KerasTensor(first.shape), keras.KerasTensor(second.shape)).shape

matrix = np.array([[1, 2], [3, 4]], dtype="float32")
batch = np.arange(8, dtype="float32").reshape(2, 2, 2)
of_matrix = keras.ops.convert_to_numpy(keras.ops.dot(matrix, batch))
wrong = int(np.sum(of_matrix != np.dot(matrix, batch)))

backend = keras.backend.backend()
print(f"{backend:5}  {result.shape}  announced {announced}  in the wrong place: {wrong} of {batch.size}")
assert announced == np.dot(first, second).shape == (4, 3, 4, 5)
if backend == "torch":
    np.testing.assert_array_equal(result, np.matmul(first, second))
    np.testing.assert_array_equal(of_matrix, np.matmul(matrix, batch))
    assert wrong > 0
else:
    np.testing.assert_array_equal(result, np.dot(first, second))
    assert wrong == 0
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/dot.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

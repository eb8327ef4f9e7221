#!/usr/bin/env bash
# On tensorflow, keras.ops.lu_factor returns a permutation for the pivots: a solution from it is wrong.
#
# keras 3.15.1 with tensorflow-cpu 2.21.0 and jax 0.10.2, scipy 1.17.1; Python 3.11, Linux, CPU.
#
# lu_factor is documented to return the factors of a matrix and the pivots. jax and torch (2.13.0) return
# what SciPy does: pivots[i] is the row that was swapped with row i, and scipy.linalg.lu_solve solves a system
# from them. On tensorflow the factors are the same, but the second result says where each row went in the
# end: an array of the same shape and kind of numbers, from which lu_solve takes another order of the rows,
# and a wrong solution, without an error.
#
# Keras returns the inverse of the permutation of tf.linalg.lu, which SciPy takes for swaps of rows.
#
# Seen, for three equations whose solution is 1, 2 and 3:
#   jax         pivots [2 2 2]  SciPy's [2 2 2]  solution [1. 2. 3.]
#   tensorflow  pivots [1 2 0]  SciPy's [2 2 2]  solution [0.9 2.6 2.6]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 scipy==1.17.1

cat > "$dir/lu.py" <<'PYTHON'
import keras
import numpy as np
from scipy.linalg import lu_factor, lu_solve

matrix = np.array([[0, 1, 4], [2, 1, 1], [4, 3, 1]], dtype="float32")
right = matrix @ np.array([1, 2, 3], dtype="float32")
factors, pivots = (keras.ops.convert_to_numpy(part) for part in keras.ops.lu_factor(matrix))
solution = lu_solve((factors, pivots), right)

backend = keras.backend.backend()
print(f"{backend:10}  pivots {pivots}  SciPy's {lu_factor(matrix)[1]}  solution {solution.round(3)}")
expected = {"jax": (lu_factor(matrix)[1], [1, 2, 3]), "tensorflow": ([1, 2, 0], [0.9, 2.6, 2.6])}
np.testing.assert_allclose(factors, lu_factor(matrix)[0], atol=1e-6)
np.testing.assert_array_equal(pivots, expected[backend][0])
np.testing.assert_allclose(solution, expected[backend][1], atol=1e-4)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/lu.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

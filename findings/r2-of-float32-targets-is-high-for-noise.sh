#!/usr/bin/env bash
# scikit-learn's r2_score of two targets in float32 is 0.98 for predictions that say nothing.
#
# scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A million rows have two targets, the air pressures of two places around 1013 and 1005, of deviation 1, and
# are predicted as those two numbers with noise. In float64, r2_score and explained_variance_score are -0.01.
# Of the same numbers in float32, as a network predicts them, they are 0.98, where 1 is perfect. No warning is
# given. One target alone is right, and so are the two column by column, np.asfortranarray(targets), and
# mean_squared_error.
#
# The score compares the errors with the spread of a target around its mean, and NumPy adds up the rows of
# several targets one by one, in float32: beyond a sum of 134 million, the next number is 16 away, and 1013
# counts as 1008. The mean is 7 too high, and the spread around it some 50 times too large. Known of the sums of
# squares in the score, not of the mean: scikit-learn pull requests 2158 and 28496. Of other functions of the
# library: class-means-drift-with-the-rows-in-float32.sh.
#
# Seen:
#   float32              r2_score  0.98  of each  0.98  0.97  explained  0.98  mean squared error 1.01
#   float32, by column   r2_score -0.01  of each -0.01 -0.01  explained -0.01  mean squared error 1.01
#   float32, one alone   r2_score -0.01  of each -0.01  explained -0.01  mean squared error 1.01
#   float64              r2_score -0.01  of each -0.01 -0.01  explained -0.01  mean squared error 1.01
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

cat > "$dir/r2.py" <<'PYTHON'
import warnings

import numpy as np
from sklearn.metrics import explained_variance_score, mean_squared_error, r2_score

warnings.simplefilter("error")  # none is given
ROWS = 1_000_000
generator = np.random.default_rng(0)
targets = generator.normal([1013, 1005], 1, (ROWS, 2)).astype("float32")
predicted = generator.normal([1013, 1005], 0.1, (ROWS, 2)).astype("float32")
layouts = {
    "float32": lambda table: table,
    "float32, by column": np.asfortranarray,
    "float32, one alone": lambda table: table[:, 0],
    "float64": lambda table: table.astype("float64"),
}
for name, layout in layouts.items():
    true, found = layout(targets), layout(predicted)
    score, error = r2_score(true, found), mean_squared_error(true, found)
    explained = explained_variance_score(true, found)
    each = np.atleast_1d(r2_score(true, found, multioutput="raw_values"))
    print(
        f"{name:19}  r2_score {score:5.2f}  of each", *(f"{one:5.2f}" for one in each),
        f" explained {explained:5.2f}  mean squared error {error:.2f}",
    )  # fmt: skip
    assert abs(error - 1.01) < 0.02
    if name == "float32":
        assert (each > 0.9).all()
        assert score > 0.9
        assert explained > 0.9
    else:
        assert np.allclose(each, -0.01, atol=0.01)
PYTHON

"$dir/venv/bin/python" "$dir/r2.py"

#!/usr/bin/env bash
# scipy.stats tells two groups of one distribution apart with p = 0, in a table of float32.
#
# scipy 1.17.1, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# Two groups of 200,000 and 100,000 rows have air pressures around 1013, of deviation 1, in two columns. In
# float64, ttest_ind finds no difference, t = -1 and p = 0.33. Of the same numbers in float32, t is -300 and p
# exactly 0 in both columns; ttest_1samp finds that neither mean is 1013, zscore returns columns of mean 0.76
# and deviation 0.65, and skew is 1.4 in place of 0. A choice of columns by their p keeps each. No warning is
# given. A column by itself is right, and so is the table column by column, np.asfortranarray(table);
# f_oneway is near in each.
#
# NumPy adds up the rows of a table one by one, in float32: beyond a sum of 134 million, the next number is 16
# away, and 1013 counts as 1008. As the error grows with the rows, groups of unequal size differ. NumPy's
# documentation of its mean says so; the functions of scipy.stats take its mean without a word. Of scikit-learn:
# class-means-drift-with-the-rows-in-float32.sh.
#
# Seen, of the first column:
#   float32              t  -300  p 0.00  of 1013 0.00  z-scores  0.76 0.65  skew  1.40  f_oneway 0.15
#   float32, by column   t    -1  p 0.32  of 1013 0.57  z-scores -0.00 1.00  skew  0.01  f_oneway 0.33
#   float32, one column  t    -1  p 0.32  of 1013 0.57  z-scores -0.00 1.00  skew  0.01  f_oneway 0.33
#   float64              t    -1  p 0.33  of 1013 0.57  z-scores -0.00 1.00  skew  0.01  f_oneway 0.33
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    scipy==1.17.1 numpy==2.4.6

cat > "$dir/tests.py" <<'PYTHON'
import warnings

import numpy as np
from scipy import stats

warnings.simplefilter("error")  # none is given
generator = np.random.default_rng(0)
groups = [generator.normal(1013, 1, (rows, 2)).astype("float32") for rows in (200_000, 100_000)]
layouts = {
    "float32": lambda table: table,
    "float32, by column": np.asfortranarray,
    "float32, one column": lambda table: table[:, :1],
    "float64": lambda table: table.astype("float64"),
}
for name, layout in layouts.items():
    first, second = map(layout, groups)
    t, p = stats.ttest_ind(first, second)
    _, p_of_1013 = stats.ttest_1samp(first, 1013)
    scores = stats.zscore(first)
    mean, deviation = scores.mean(axis=0, dtype="float64"), scores.std(axis=0, dtype="float64")
    skewness, p_of_oneway = stats.skew(first), stats.f_oneway(first, second).pvalue
    print(
        f"{name:19}  t {t[0]:5.0f}  p {p[0]:.2f}  of 1013 {p_of_1013[0]:.2f}  z-scores {mean[0]:5.2f}"
        f" {deviation[0]:.2f}  skew {skewness[0]:5.2f}  f_oneway {p_of_oneway[0]:.2f}"
    )
    assert (p_of_oneway > 0.1).all()
    if name == "float32":
        assert (p == 0).all() and (p_of_1013 == 0).all() and (t < -200).all()
        assert (mean > 0.5).all() and (deviation < 0.8).all() and (skewness > 1).all()
    else:
        assert (p > 0.1).all() and (p_of_1013 > 0.1).all()
        assert np.allclose(mean, 0, atol=1e-3) and np.allclose(deviation, 1, atol=1e-3)
        assert (np.abs(skewness) < 0.05).all()
PYTHON

"$dir/venv/bin/python" "$dir/tests.py"

#!/usr/bin/env bash
# scikit-learn's f_classif gives noise far from zero an F of thousands, also below 0: SelectKBest keeps it.
#
# scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# The F of an analysis of variance is never negative, and does not depend on the zero of a column. In a table
# of float32, the first column tells two classes apart, with an F of 101; the other 20 are air pressures of
# deviation 1 around 1013 that have nothing to do with them, and an F of at most 2. f_classif, which
# SelectKBest takes by default, gives the pressures from -17,772 to 24,214, and SelectKBest keeps one of them.
# With the means subtracted before, and in float64, all 21 are right.
#
# f_classif adds up the squares of the values as they are, in float32, and subtracts the square of the sum,
# so that the digits of the variance are lost. Which pressure it prefers depends on the numbers. PCA of the
# same library subtracts late in the same way: pca-depends-on-where-zero-is.sh.
#
# Seen, F of the column that tells, range of F of the others, and what is kept:
#                     tells  noise, from      to  keeps
#   as it is          101.1     -17772.3 24213.8  noise
#   centered before   101.1          0.0     2.1  what tells
#   in float64        101.1          0.0     2.1  what tells
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

cat > "$dir/scores.py" <<'PYTHON'
import warnings

import numpy as np
from scipy.stats import f_oneway
from sklearn.feature_selection import SelectKBest, f_classif

warnings.simplefilter("error")  # none is given
generator = np.random.default_rng(0)
labels = generator.integers(0, 2, 5000)
noise = generator.normal(1013, 1, (5000, 20))
table = np.column_stack([generator.normal(size=5000) + labels / 4, noise]).astype("float32")
exact = f_oneway(*(table[labels == label].astype("float64") for label in (0, 1))).statistic

tables = {
    "as it is": table,
    "centered before": table - table.mean(axis=0, dtype="float64"),
    "in float64": table.astype("float64"),
}
print(f"{'':16} {'tells':>6}  {'noise, from':>11} {'to':>7}  keeps")
for name, array in tables.items():
    found = f_classif(array, labels)[0]
    kept = SelectKBest(f_classif, k=1).fit(array, labels).get_support(indices=True)[0]
    what = "noise" if kept else "what tells"
    print(f"{name:16} {found[0]:6.1f}  {found[1:].min():11.1f} {found[1:].max():7.1f}  {what}")
    if name == "as it is":
        assert kept > 0 and found.min() < 0 and found[1:].max() > exact[0] > 100
    else:
        assert kept == 0 and np.allclose(found, exact, rtol=1e-3, atol=1e-3)
PYTHON

"$dir/venv/bin/python" "$dir/scores.py"

#!/usr/bin/env bash
# scikit-learn's PowerTransformer turns some columns far from zero into a constant, without a warning.
#
# scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# 200 temperatures in kelvin, from 280 up and skewed to the right, are transformed with the default
# standardize=True, after which a column has the mean 0 and the deviation 1, as documented. With box-cox,
# all 200 results are 0; with yeo-johnson, the default, their deviation is 9e-17, and 16 different values
# are left. So it is with prices from 2000 up. The same temperatures in degrees above 280 have the
# deviation 1.
#
# The power p that makes the column most normal is -35.5, and 280 ** -35.5 is 1e-87. Box-Cox is
# (x ** p - 1) / p, in which that is lost beside the 1; all 200 values become 1 / 35.5. StandardScaler then
# divides by a deviation of 0, which it takes for 1. Box-Cox does not depend on the unit of a column: with
# the column divided by its geometric mean first, the same power gives the right result, of which the
# script takes the deviation. scipy.stats.boxcox returns the same constant (its issue 16674).
#
# Seen, deviation and number of values that differ, of 200:
#               box-cox       yeo-johnson   box-cox of x / geometric mean
#   kelvin      0.0e+00   1   8.7e-17  16   1.0e+00 200
#   prices      0.0e+00   1   9.9e-16  56   1.0e+00 200
#   above 280   1.0e+00 200   1.0e+00 200   1.0e+00 200
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

cat > "$dir/power.py" <<'PYTHON'
import warnings

import numpy as np
from sklearn.preprocessing import PowerTransformer

warnings.simplefilter("error")  # none is given
generator = np.random.default_rng(0)
above = generator.gamma(2, 3, 200)
columns = {
    "kelvin": 280 + above,
    "prices": 2000 + generator.gamma(1, 20, 200),
    "above 280": above,
}

print(f"{'':11} {'box-cox':13} {'yeo-johnson':13} box-cox of x / geometric mean")
seen = {}
for name, column in columns.items():
    scaled = column / np.exp(np.log(column).mean())
    seen[name] = []
    for method, values in (("box-cox", column), ("yeo-johnson", column), ("box-cox", scaled)):
        result = PowerTransformer(method).fit_transform(values[:, None])
        seen[name].append((result.std(), len(np.unique(result))))
    print(f"{name:11}", *(f"{deviation:.1e} {count:3d}  " for deviation, count in seen[name]))

for name in ("kelvin", "prices"):
    (box_cox, values), (yeo_johnson, left), (scaled, of_scaled) = seen[name]
    assert box_cox == 0 and values == 1
    assert yeo_johnson < 1e-14 and left < 100
    assert abs(scaled - 1) < 1e-9 and of_scaled == 200
assert all(abs(deviation - 1) < 1e-9 and n == 200 for deviation, n in seen["above 280"])
PYTHON

"$dir/venv/bin/python" "$dir/power.py"

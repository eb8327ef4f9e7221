#!/usr/bin/env bash
# With bottleneck installed, pandas' deviation of float32 is half again too large; its mean is right.
#
# pandas 3.1.1, bottleneck 1.6.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# 200,000 air pressures of deviation 1 around 1013 are in a column of float32. Without bottleneck, which
# pandas recommends and uses where it finds it, std() is 1.0, and with it 1.5, and so is std in describe();
# var() is 2.4. Which it is depends on a package that the program does not import. The mean is the same, for
# pandas leaves bottleneck alone there. sem(), std() by group and std() of the nullable Float32 are right, too.
#
# bottleneck adds up one by one in float32, so that the mean, from which it takes the deviations, is 1.2 off.
# Known: bottleneck issue 443, open. Where pandas leaves bottleneck alone for sums and means, its source names
# this naive summation, and pandas issue 42878. pandas.set_option("compute.use_bottleneck", False) mends it.
#
# Seen:
#                      std     var    mean     sem   by group  Float32
#   bottleneck       1.545   2.388  1013.0  0.0022      1.001    1.001
#   no bottleneck    1.001   1.002  1013.0  0.0022      1.001    1.001
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    pandas==3.1.1 bottleneck==1.6.0 numpy==2.4.6

cat > "$dir/deviations.py" <<'PYTHON'
import numpy as np
import pandas as pd

pressures = np.random.default_rng(0).normal(1013, 1, 200_000).astype("float32")
column = pd.Series(pressures)
exact = pressures.astype("float64").std(ddof=1)
assert pd.get_option("compute.use_bottleneck")

print(f"{'':15} {'std':>6} {'var':>7} {'mean':>7} {'sem':>7}   by group  Float32")
for used in (True, False):
    pd.set_option("compute.use_bottleneck", used)
    by_group = column.groupby(np.zeros(len(column))).std().item()
    nullable = column.astype("Float32").std()
    std, var, mean, sem = column.std(), column.var(), column.mean(), column.sem()
    name = "bottleneck" if used else "no bottleneck"
    print(f"{name:15} {std:6.3f} {var:7.3f} {mean:7.1f} {sem:7.4f} {by_group:10.3f} {nullable:8.3f}")
    assert std == column.describe()["std"]
    assert (std / exact > 1.4) == used and (used or abs(std / exact - 1) < 1e-3)
    assert (var / exact**2 > 2) == used and (used or abs(var / exact**2 - 1) < 1e-2)
    assert abs(mean - 1013) < 0.01 and abs(sem * len(column) ** 0.5 / exact - 1) < 1e-3
    assert abs(by_group / exact - 1) < 1e-3 and abs(nullable / exact - 1) < 1e-3
PYTHON

"$dir/venv/bin/python" "$dir/deviations.py"

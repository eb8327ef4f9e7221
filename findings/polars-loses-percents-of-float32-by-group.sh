#!/usr/bin/env bash
# polars adds up float32 by group three percent too low; the sum of the whole column is right.
#
# polars 2.1.0; pandas 3.1.1, pyarrow 26.0.1, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A column has 0.1 in float32 ten million times, and a sorted key three groups, whose sums should be 333,333
# each. In one thread, the first is 322,028. In two threads it is 331,553; which group is off, and by how
# much, depends on the threads and on the order of the rows. pandas and pyarrow are right to seven digits
# for the same columns, and so are polars' own sum of the whole column and its means by group, so that a
# sum is not the mean times the count.
#
# The first group is about what NumPy gives if each value is added to one number in float32: at a sum of
# 262,144, the next number that float32 holds is 0.03 away, and a part of each 0.1 is rounded off. The sum of
# a whole column is taken otherwise. pl.col("value").cast(pl.Float64).sum() is right by group, too. Known of
# cum_sum: polars issue 27662.
#
# Seen:
#   float64 NumPy          333,333.40  333,333.30  333,333.30
#   polars                 322,028.41  333,235.09  332,633.06
#   polars, mean x count   333,333.40  333,333.30  333,333.30
#   polars, cast           333,333.40  333,333.30  333,333.30
#   pandas                 333,333.41  333,333.31  333,333.31
#   pyarrow                333,333.40  333,333.30  333,333.30
#   whole column in polars, and in float64 NumPy  1,000,000.06  1,000,000.01
#   one by one in float32 NumPy, first group  322,024.84
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6

cat > "$dir/sums.py" <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

ROWS = 10_000_000
key = np.sort(np.arange(ROWS, dtype="int32") % 3)
value = np.full(ROWS, 0.1, dtype="float32")
columns = {"key": key, "value": value}
frame = pl.DataFrame(columns)


def by_group(expression):
    return frame.group_by("key").agg(expression).sort("key")["value"].to_numpy()


exact = np.bincount(key, value.astype("float64"))
in_arrow = pa.table(columns).group_by("key").aggregate([("value", "sum")]).sort_by("key")
seen = {
    "float64 NumPy": exact,
    "polars": by_group(pl.col("value").sum()),
    "polars, mean x count": by_group(pl.col("value").mean() * pl.len()),
    "polars, cast": by_group(pl.col("value").cast(pl.Float64).sum()),
    "pandas": pd.DataFrame(columns).groupby("key")["value"].sum().to_numpy(),
    "pyarrow": in_arrow["value_sum"].to_numpy(),
}
for name, sums in seen.items():
    print(f"{name:21}", *(f"{number:11,.2f}" for number in sums))
    off = np.abs(sums / exact - 1).max()
    assert 0.03 < off < 0.04 if name == "polars" else off < 1e-6, name

whole, all_exact = frame["value"].sum(), exact.sum()
print(f"whole column in polars, and in float64 NumPy  {whole:,.2f}  {all_exact:,.2f}")
assert abs(whole / all_exact - 1) < 1e-6
one_by_one = value[key == 0].cumsum(dtype="float32")[-1]
print(f"one by one in float32 NumPy, first group  {one_by_one:,.2f}")
assert abs(one_by_one / seen["polars"][0] - 1) < 1e-4
PYTHON

POLARS_MAX_THREADS=1 "$dir/venv/bin/python" "$dir/sums.py"

#!/usr/bin/env bash
# The mean of labels 0 and 1 that a database exports as decimals is 0 or 1 in pandas' columns of pyarrow.
#
# pandas 3.1.1, pyarrow 26.0.1; polars 2.1.0, duckdb 2.0.1; Python 3.11, Linux, CPU.
#
# Databases write integers to Parquet as decimals without a fraction, such as DECIMAL(38, 0). Of labels a third
# of which is 1, pandas.read_parquet(dtype_backend="pyarrow") gives a column whose mean() is 0, of two thirds
# 1, and so are the means by group: the rate of each group is 0 or 1. No warning is given, and std() is right.
# Of ages, the mean is a whole year. Without dtype_backend, pandas has 0.333, and so have polars and
# duckdb, of the same file.
#
# pyarrow rounds the mean of decimals to their own type, which the documentation of pyarrow.compute.mean says;
# that of pandas does not. Table.group_by of pyarrow does alike. .astype("double[pyarrow]") before it mends
# it.
#
# Seen, of labels a third of which is 1, and of the others:
#   pandas of pyarrow     0.000  1.000
#   its first group       0.000  1.000
#   pyarrow, first group  0.000  1.000
#   as double[pyarrow]    0.333  0.667
#   pandas by default     0.333  0.667
#   polars                0.333  0.667
#   duckdb                0.333  0.667
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1

cat > "$dir/mean.py" <<'PYTHON'
import warnings

import duckdb
import pandas as pd
import polars as pl
from pyarrow import parquet

warnings.simplefilter("error")  # none is given
FILE = "labels.parquet"
duckdb.sql(f"""COPY (
    SELECT range % 2 AS part, (range % 3 = 0)::INT::DECIMAL(38, 0) AS bought,
           (range % 3 > 0)::INT::DECIMAL(38, 0) AS other FROM range(600)
) TO '{FILE}'""")

frame = pd.read_parquet(FILE, dtype_backend="pyarrow")
names = ["bought", "other"]
in_polars, in_pyarrow = pl.read_parquet(FILE), parquet.read_table(FILE)
by_part = in_pyarrow.group_by("part").aggregate([(name, "mean") for name in names])
found = {
    "pandas of pyarrow": [frame[name].mean() for name in names],
    "its first group": [frame.groupby("part")[name].mean()[0] for name in names],
    "pyarrow, first group": [by_part[f"{name}_mean"][0].as_py() for name in names],
    "as double[pyarrow]": [frame[name].astype("double[pyarrow]").mean() for name in names],
    "pandas by default": [pd.read_parquet(FILE)[name].mean() for name in names],
    "polars": [in_polars[name].mean() for name in names],
    "duckdb": duckdb.sql(f"SELECT avg(bought), avg(other) FROM '{FILE}'").fetchall()[0],
}
for at, (name, (bought, other)) in enumerate(found.items()):
    print(f"{name:20}  {float(bought):.3f}  {float(other):.3f}")
    if at < 3:
        assert (bought, other) == (0, 1)
    else:
        assert abs(bought - 1 / 3) < 1e-9
        assert abs(other - 2 / 3) < 1e-9
assert abs(frame["bought"].std() - (1 / 3 * 2 / 3 * 600 / 599) ** 0.5) < 1e-6
PYTHON

(cd "$dir" && venv/bin/python mean.py)

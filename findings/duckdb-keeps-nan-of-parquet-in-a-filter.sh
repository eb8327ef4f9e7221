#!/usr/bin/env bash
# duckdb does not find NaN in a Parquet file of pyarrow: WHERE NOT isnan(x) keeps each row that has it.
#
# duckdb 2.0.1, pyarrow 26.0.1, polars 2.1.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A column of 1,000 numbers from 0 to 1 has NaN in every tenth row. Of the file, duckdb counts 0 rows of
# isnan(x), and WHERE NOT isnan(x) cleans nothing: the 100 rows stay, and the average after it is NaN.
# nullif(x, 'nan') changes nothing either, and x > 1 is empty, where NaN is the largest number in duckdb. A
# duckdb table made of the same file is filtered right, and so is the file in polars.
#
# The format keeps NaN out of the smallest and largest value that a file has of each column, and asks readers
# not to conclude from them that there is none. duckdb does, by its setting parquet_can_have_nan, which is
# false unless it is set; with SET parquet_can_have_nan = true, all is right. pyarrow concludes alike for
# some filters: read_table(filters=...) of ~(x < 2) and of is_null(nan_is_null=True) finds no row of the
# file, where Table.filter of the same expression finds the 100; is_nan(x) is right.
#
# Known of other comparisons in duckdb: issue 25521, open; of pyarrow's nan_is_null: arrow issue 34162, open.
#
# Seen, rows, and NaN among them:
#   duckdb   isnan(x)                           file     0    0  table   100  100
#   duckdb   NOT isnan(x)                       file  1000  100  table   900    0
#   duckdb   x > 1                              file     0    0  table   100  100
#   duckdb   x BETWEEN 0 AND 1                  file  1000  100  table   900    0
#   duckdb   nullif(x, 'nan') IS NOT NULL       file  1000  100  table   900    0
#   duckdb   avg(x) WHERE NOT isnan(x)          file nan        table 0.5
#   duckdb   NOT isnan(x), with the setting     file   900    0  table   900    0
#   polars   is_not_nan                         file   900    0  table   900    0
#   pyarrow  is_nan                             file   100  100  table   100  100
#   pyarrow  is_null(nan_is_null=True)          file     0    0  table   100  100
#   pyarrow  ~(x < 2)                           file     0    0  table   100  100
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0 numpy==2.4.6

cat > "$dir/nan.py" <<'PYTHON'
import math

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import parquet

values = np.arange(1000) / 1000
values[::10] = np.nan
FILE = "x.parquet"
table = pa.table({"x": values})
parquet.write_table(table, FILE)
duckdb.sql(f"CREATE TABLE rows AS FROM '{FILE}'")

ALL, CLEAN, MISSING, NONE = (1000, 100), (900, 0), (100, 100), (0, 0)


def show(library, what, in_file, in_table, expected):
    counts = (f"{rows:5} {nan:4}" for rows, nan in (in_file, in_table))
    print(f"{library:7}  {what:33}  file " + "  table ".join(counts))
    assert (in_file, in_table) == expected, what


def in_duckdb(source, where):
    # Counted in NumPy: duckdb answers count(*) FILTER (WHERE isnan(x)) of the file with 0, too.
    found = duckdb.sql(f"SELECT x FROM {source} WHERE {where}").fetchnumpy()["x"]
    return len(found), int(np.isnan(found).sum())


for where, expected in {
    "isnan(x)": (NONE, MISSING),
    "NOT isnan(x)": (ALL, CLEAN),
    "x > 1": (NONE, MISSING),
    "x BETWEEN 0 AND 1": (ALL, CLEAN),
    "nullif(x, 'nan') IS NOT NULL": (ALL, CLEAN),
}.items():
    show("duckdb", where, in_duckdb(f"'{FILE}'", where), in_duckdb("rows", where), expected)

averages = [
    duckdb.sql(f"SELECT avg(x) FROM {source} WHERE NOT isnan(x)").fetchall()[0][0]
    for source in (f"'{FILE}'", "rows")
]
print("duckdb   avg(x) WHERE NOT isnan(x)          file {:.3g}        table {:.3g}".format(*averages))
assert math.isnan(averages[0]) and math.isclose(averages[1], np.nanmean(values))
duckdb.sql("SET parquet_can_have_nan = true")
in_file = in_duckdb(f"'{FILE}'", "NOT isnan(x)")
show("duckdb", "NOT isnan(x), with the setting", in_file, in_duckdb("rows", "NOT isnan(x)"), (CLEAN, CLEAN))


def count(column):
    found = np.asarray(column)
    return len(found), int(np.isnan(found).sum())


lazy, frame = pl.scan_parquet(FILE), pl.from_arrow(table)
clean = pl.col("x").is_not_nan()
in_file, in_table = lazy.filter(clean).collect()["x"], frame.filter(clean)["x"]
show("polars", "is_not_nan", count(in_file), count(in_table), (CLEAN, CLEAN))
x = pc.field("x")
for name, expression, expected in (
    ("is_nan", pc.is_nan(x), (MISSING, MISSING)),
    ("is_null(nan_is_null=True)", x.is_null(nan_is_null=True), (NONE, MISSING)),
    ("~(x < 2)", ~(x < 2), (NONE, MISSING)),
):
    in_file = parquet.read_table(FILE, filters=expression)["x"]
    show("pyarrow", name, count(in_file), count(table.filter(expression)["x"]), expected)
PYTHON

(cd "$dir" && venv/bin/python nan.py)

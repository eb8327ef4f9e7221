#!/usr/bin/env bash
# A column with missing values that pyarrow writes as CSV has fewer rows when pyarrow reads it.
#
# pyarrow 26.0.1; pandas 3.1.1, polars 2.1.0, duckdb 2.0.1; Python 3.11, Linux, CPU.
#
# Five numbers, two of them missing, are written with pyarrow.csv.write_csv and read with
# pyarrow.csv.read_csv. Three come back, without an error, and from the second on each stands in another
# row than before: beside a column of another file, every number belongs to another sample. A missing
# value is written as nothing, so that of a table of one column an empty line is left, and read_csv skips
# empty lines. With a second column, the comma keeps the row. ParseOptions(ignore_empty_lines=False)
# reads all five.
#
# polars and duckdb write the same file, and read it as five rows. pandas writes "" for a missing value of
# a single column, which all read as a row; of the file of pyarrow, it reads three.
#
# Seen:
#   written              1.5 -- 2.5 -- 3.5
#   pyarrow              1.5 2.5 3.5
#   pyarrow, two columns 1.5 -- 2.5 -- 3.5
#   pyarrow, all lines   1.5 -- 2.5 -- 3.5
#   pandas               1.5 2.5 3.5
#   polars               1.5 -- 2.5 -- 3.5
#   duckdb               1.5 -- 2.5 -- 3.5
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 numpy==2.4.6

cat > "$dir/rows.py" <<'PYTHON'
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
from pyarrow import csv

SCORES = [1.5, None, 2.5, None, 3.5]
FOUND = [1.5, 2.5, 3.5]

table = pa.table({"score": SCORES})
csv.write_csv(table, "one.csv")
csv.write_csv(table.append_column("row", [range(5)]), "two.csv")
keep = csv.ParseOptions(ignore_empty_lines=False)
numbers = pd.read_csv("one.csv")["score"]

seen = {
    "written": SCORES,
    "pyarrow": csv.read_csv("one.csv")["score"].to_pylist(),
    "pyarrow, two columns": csv.read_csv("two.csv")["score"].to_pylist(),
    "pyarrow, all lines": csv.read_csv("one.csv", parse_options=keep)["score"].to_pylist(),
    "pandas": [None if pd.isna(number) else number for number in numbers],
    "polars": pl.read_csv("one.csv")["score"].to_list(),
    "duckdb": [score for (score,) in duckdb.read_csv("one.csv").fetchall()],
}
for name, scores in seen.items():
    print(f"{name:20}", *("--" if score is None else score for score in scores))
    assert scores == (FOUND if name in {"pyarrow", "pandas"} else SCORES), name
PYTHON

cd "$dir"
venv/bin/python rows.py

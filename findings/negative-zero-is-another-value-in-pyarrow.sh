#!/usr/bin/env bash
# pandas columns of pyarrow take -0.0 for another value than 0.0: groups, merges and isin find half the rows.
#
# pandas 3.1.1, pyarrow 26.0.1; polars 2.1.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# Changes of a price are rounded to whole numbers; -0.3 becomes -0.0, which equals 0.0. Of six changes, four
# are 0. In a pandas column of float64 they are one group of four rows, one of three values, and isin and
# merge find all four. In a column of float64[pyarrow] they are two groups of two, isin([0.0]) and a merge
# with 0.0 find two of the four, and there are four values; == 0.0 finds all four. pyarrow by itself groups
# and joins the same way. polars has one group, and joins all four.
#
# pyarrow compares the bits of floats in its hash tables, in which the two zeros differ. NaN, which equals
# nothing, is one group there, and joins with NaN. Adding 0.0 to the column makes each -0.0 a 0.0.
#
# Seen, of the rows that are 0:
#   pandas, float64           == 4   isin 4   merge 4   groups [4]   values in all 3
#   pandas, float64[pyarrow]  == 4   isin 2   merge 2   groups [2, 2]   values in all 4
#   pyarrow                   join 2   groups [2, 2]
#   polars                    join 4   groups [4]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 numpy==2.4.6

cat > "$dir/zero.py" <<'PYTHON'
import pandas as pd
import polars as pl
import pyarrow as pa

change = pd.Series([0.2, -0.3, 1.2, 0.4, -0.1, -1.4]).round()
frame = pd.DataFrame({"change": change, "rows": 1})
names = pd.DataFrame({"change": [0.0], "name": ["unchanged"]})
table, table_of_names = pa.table(frame), pa.table(names)


def in_pandas(dtype):
    left, right = frame.astype({"change": dtype}), names.astype({"change": dtype})
    sums = left.groupby("change")["rows"].sum()
    return {
        "==": int((left["change"] == 0.0).sum()),
        "isin": int(left["change"].isin([0.0]).sum()),
        "merge": len(left.merge(right, on="change")),
        "groups": [int(rows) for value, rows in sums.items() if value == 0],
        "values in all": left["change"].nunique(),
    }


def of_zero(groups):
    return [group["rows"] for group in groups if group["change"] == 0]


sums = table.group_by("change").aggregate([("rows", "sum")]).rename_columns(["change", "rows"])
in_polars, names_in_polars = pl.from_arrow(table), pl.from_arrow(table_of_names)
seen = {
    "pandas, float64": in_pandas("float64"),
    "pandas, float64[pyarrow]": in_pandas("float64[pyarrow]"),
    "pyarrow": {
        "join": table.join(table_of_names, "change", join_type="inner").num_rows,
        "groups": of_zero(sums.to_pylist()),
    },
    "polars": {
        "join": in_polars.join(names_in_polars, on="change").height,
        "groups": of_zero(in_polars.group_by("change").agg(pl.col("rows").sum()).to_dicts()),
    },
}
for name, found in seen.items():
    print(f"{name:25}", "   ".join(f"{what} {value}" for what, value in found.items()))

whole, split = {"groups": [4]}, {"groups": [2, 2]}
assert seen["pandas, float64"] == whole | {"==": 4, "isin": 4, "merge": 4, "values in all": 3}
assert seen["pandas, float64[pyarrow]"] == split | {"==": 4, "isin": 2, "merge": 2, "values in all": 4}
assert seen["pyarrow"] == split | {"join": 2}
assert seen["polars"] == whole | {"join": 4}
PYTHON

"$dir/venv/bin/python" "$dir/zero.py"

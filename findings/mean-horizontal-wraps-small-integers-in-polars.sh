#!/usr/bin/env bash
# polars' mean of columns side by side is below the smallest of its values, if they are small integers.
#
# polars 2.1.0; numpy 2.4.6; Python 3.11, Linux, CPU.
#
# The mean of three pixels of 200 is 200. In columns of UInt8, mean_horizontal says 29.3; of Int8, the mean of
# 100 and 100 is -28. The result is in Float64, so one would not think of an overflow; but the values are
# added in their own type, and only the sum is made a float. The mean of a column, by group, and of a list are
# right, and their sums are in Int64. That sum_horizontal wraps, whose result has the small type, is known:
# polars issue 21515. pl.all().cast(pl.Float64) before it mends it.
#
# Seen, mean_horizontal, of a list, of a column:
#   UInt8  200 200 200     29.333  200.000  200.000
#   Int8   100 100        -28.000  100.000  100.000
#   Int16  30000 30000  -2768.000  30000.000  30000.000
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    polars==2.1.0 numpy==2.4.6

cat > "$dir/means.py" <<'PYTHON'
import polars as pl

rows = ((pl.UInt8, [200] * 3, 88 / 3), (pl.Int8, [100] * 2, -28), (pl.Int16, [30000] * 2, -2768))
for dtype, row, wrong in rows:
    names = [f"column_{index}" for index in range(len(row))]
    frame = pl.DataFrame([row], schema=dict.fromkeys(names, dtype), orient="row")
    side_by_side = frame.select(pl.mean_horizontal(names))
    in_list = frame.select(pl.concat_list(names).list.mean()).item()
    column = pl.Series(row, dtype=dtype).mean()
    found = side_by_side.item()
    print(f"{dtype!s:5}  {' '.join(map(str, row)):11}  {found:9.3f}  {in_list:.3f}  {column:.3f}")
    assert side_by_side.dtypes == [pl.Float64]
    assert abs(found - wrong) < 1e-9 and in_list == column == row[0]
    assert frame.select(pl.mean_horizontal(pl.all().cast(pl.Float64))).item() == row[0]

    sums = frame.select(pl.sum_horizontal(names))
    assert sums.dtypes == [dtype] and sums.item() == round(wrong * len(row)) != sum(row)
    value = pl.col("value")
    table = pl.DataFrame({"group": [0] * len(row), "value": pl.Series(row, dtype=dtype)})
    groups = table.group_by("group")
    assert groups.agg(value.mean())["value"].to_list() == [row[0]]
    for right in (
        table.select(value.sum()),
        groups.agg(value.sum()).select("value"),
        frame.select(pl.concat_list(names).list.sum()),
    ):
        assert right.dtypes == [pl.Int64] and right.item() == sum(row)
PYTHON

"$dir/venv/bin/python" "$dir/means.py"

#!/usr/bin/env bash
# Hugging Face datasets gives integers as float32 once a value of the batch is missing: 999 ids become 9.
#
# datasets 5.2.0, numpy 2.4.6, pandas 3.1.1, pyarrow 26.0.1; Python 3.11, Linux, CPU.
#
# A column has 1,000 user ids from two billion on, each once. with_format("numpy") gives them as int64. If the
# last one is missing, it gives the column as float32, which holds numbers of that size 128 apart: 9 ids are
# left of 999, as up to 129 become one. Read in batches of 250, three batches are int64 with all of their ids,
# and the last, which has the missing one, float32 with 3: whether an id is rounded depends on the rows beside
# it. Without a format and with that of pandas, all 999 are there. There is no warning. Times in seconds since
# 1970 are rounded alike, and counts above 16.7 million.
#
# Arrow gives the batch as float64, to have a NaN in it, which holds such integers; the formatter then takes
# float32, its default for what is not an integer (np_formatter.py; torch_formatter.py has the same default).
# with_format("numpy", dtype="float64") mends it.
#
# Seen:
#   numpy, all there    int64    1000 ids
#   numpy, one missing  float32  9 ids
#   numpy, by batches   int64 250 ids, int64 250 ids, int64 250 ids, float32 3 ids
#   numpy, of float64   float64  999 ids
#   pandas              float64  999 ids
#   no format           list     999 ids
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    datasets==5.2.0 numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1

cat > "$dir/ids.py" <<'PYTHON'
import warnings

import pandas as pd
from datasets import Dataset

warnings.simplefilter("error")  # none is given
ids = list(range(2_000_000_000, 2_000_001_000))
whole = Dataset.from_dict({"user": ids})
rows = Dataset.from_dict({"user": ids[:-1] + [None]})


def seen(values):
    return str(getattr(values, "dtype", "list")), pd.Series(values).nunique()


def show(name, values):
    kind, number = seen(values)
    print(f"{name:19} {kind:7}  {number} ids")
    return kind, number


assert show("numpy, all there", whole.with_format("numpy")[:]["user"]) == ("int64", 1000)
assert show("numpy, one missing", rows.with_format("numpy")[:]["user"]) == ("float32", 9)
batches = [seen(batch["user"]) for batch in rows.with_format("numpy").iter(250)]
print("numpy, by batches   " + ", ".join(f"{kind} {number} ids" for kind, number in batches))
assert batches == [("int64", 250)] * 3 + [("float32", 3)]
exact = rows.with_format("numpy", dtype="float64")[:]["user"]
assert show("numpy, of float64", exact) == ("float64", 999)
assert show("pandas", rows.with_format("pandas")[:]["user"]) == ("float64", 999)
assert show("no format", rows[:]["user"]) == ("list", 999)
PYTHON

export HF_HOME="$dir/huggingface" HF_HUB_OFFLINE=1
"$dir/venv/bin/python" "$dir/ids.py"

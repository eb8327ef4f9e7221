#!/usr/bin/env bash
# load_dataset of a CSV keeps the codes of a column as they are for 10,000 rows, and changes them after that.
#
# datasets 5.2.0, pandas 3.1.1, pyarrow 26.0.1, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A column of postal codes has one with a letter, so that it is one of texts. The codes of the first 10,000
# rows keep their zeros, 00501. The same codes further down have lost them, 501: one place is two categories,
# and a category of the training rows is unknown in the test rows. "01" and "1.0" become "1" further down, and
# "True" becomes "true". The codes of a second file lose their zeros, too, if it happens to have no letter.
# pandas.read_csv(low_memory=False) has 00501 in all rows of the same file.
#
# datasets asks pandas for 10,000 rows at a time. pandas finds a type for each of these tables by itself, an
# integer where there is no letter, and datasets casts it to the type of the first one. A fraction among
# integers is refused with an error; a number among texts is written as one. features=Features({...}), which
# names the types, mends it, and chunksize= of more rows than the file has for a single file.
#
# Seen:
#   written, from row 9,998   00501 00544 10001 00501 00544 10001
#   loaded                    00501 00544 10001 501 544 10001
#   different texts written   00501 00544 10001 K1A 0B1
#   different texts loaded    00501 00544 10001 501 544 K1A 0B1
#   01 and 1.0                1.0 01 1 1
#   True                      True True true true
#   00501 of two files        00501 501
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    datasets==5.2.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6

cat > "$dir/load.py" <<'PYTHON'
from pathlib import Path

import datasets
import pandas as pd
from datasets import Features, Value, load_dataset

datasets.disable_progress_bars()
ROWS = 25_000
CODES = ["K1A 0B1", *["00501", "00544", "10001"] * ROWS][:ROWS]


def write(name, values):
    Path(name).write_text("value\n" + "".join(f"{value}\n" for value in values))


def load(*files, **options):
    loaded = load_dataset("csv", data_files=list(files), split="train", **options)
    assert loaded.features["value"].dtype in ("string", "large_string")
    return loaded["value"][:]


write("codes.csv", CODES)
found = load("codes.csv")
print("written, from row 9,998  ", *CODES[9_997:10_003])
print("loaded                   ", *found[9_997:10_003])
print("different texts written  ", *sorted(set(CODES)))
print("different texts loaded   ", *sorted(set(found)))
assert found[:10_000] == CODES[:10_000]
assert found[10_000:] == [code.lstrip("0") for code in CODES[10_000:]]
assert pd.read_csv("codes.csv", low_memory=False)["value"].tolist() == CODES
assert load("codes.csv", chunksize=2 * ROWS) == CODES
assert load("codes.csv", features=Features({"value": Value("string")})) == CODES

answers = ["yes", *["01", "1.0"] * ROWS][:ROWS]
write("answers.csv", answers)
found = load("answers.csv")
print("01 and 1.0               ", *found[9_998:10_002])
assert found[:10_000] == answers[:10_000]
assert set(found[10_000:]) == {"1"}

truth = ["unknown", *["True"] * ROWS][:ROWS]
write("truth.csv", truth)
found = load("truth.csv")
print("True                     ", *found[9_998:10_002])
assert (found[9_999], found[10_000]) == ("True", "true")

write("letter.csv", ["K1A 0B1", "00501"])
write("none.csv", ["00501", "00544"])
found = load("letter.csv", "none.csv")
print("00501 of two files       ", found[1], found[2])
assert (found[1], found[2]) == ("00501", "501")
PYTHON

export HF_HOME="$dir/cache" HF_HUB_OFFLINE=1
(cd "$dir" && venv/bin/python load.py)

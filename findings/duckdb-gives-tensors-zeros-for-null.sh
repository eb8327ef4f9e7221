#!/usr/bin/env bash
# duckdb's torch() and tf() give 0 for a missing number, and False for a missing label.
#
# duckdb 2.0.1; torch 2.13.0, tensorflow-cpu 2.21.0, pandas 3.1.1, pyarrow 26.0.1, polars 2.1.0, numpy 2.4.6;
# Python 3.11, Linux, CPU.
#
# A tensor has no room for NULL, so that one expects NaN in a column of floats, as numpy would have it, and an
# error for integers and booleans. duckdb gives 0 in place of each NULL, and False in a column of booleans,
# without a warning: a patient of whom no temperature is known has 0 degrees, and one who was not examined is
# healthy. df() and pl() keep what is missing, and fetchnumpy() masks it: torch() and tf() take its arrays
# without their masks. NaN itself stays NaN.
#
# Seen:
#                 temperature       visits     ill
#   fetchall      36.5 None nan     3 None 0   True None False
#   df            36.5 nan nan      3 <NA> 0   True <NA> False
#   pl            36.5 None nan     3 None 0   True None False
#   fetchnumpy    36.5 None nan     3 None 0   True None False
#   torch         36.5 0.0 nan      3 0 0      True False False
#   tf            36.5 0.0 nan      3 0 0      True False False
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    duckdb==2.0.1 torch==2.13.0 tensorflow-cpu==2.21.0 pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 numpy==2.4.6

cat > "$dir/tensors.py" <<'PYTHON'
import warnings

import torch  # first: torch does not start after tensorflow
import duckdb
import numpy as np

warnings.simplefilter("error")  # none is given
columns = ("temperature", "visits", "ill")
table = duckdb.sql("""
    SELECT * FROM (VALUES (36.5::DOUBLE, 3::INTEGER, true), (NULL, NULL, NULL), ('nan', 0, false))
    AS patients(temperature, visits, ill)
""")
rows = table.fetchall()
found = {
    "fetchall": dict(zip(columns, map(list, zip(*rows)))),
    "df": {name: column.tolist() for name, column in table.df().items()},
    "pl": table.pl().to_dict(as_series=False),
    "fetchnumpy": {name: column.tolist() for name, column in table.fetchnumpy().items()},
    "torch": {name: tensor.tolist() for name, tensor in table.torch().items()},
}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of tensorflow, about itself
    found["tf"] = {name: tensor.numpy().tolist() for name, tensor in table.tf().items()}

print(f"{'':12}  {'temperature':17} {'visits':10} ill")
for method, table_of_lists in found.items():
    texts = [" ".join(map(str, table_of_lists[name])) for name in columns]
    print(f"{method:12}  {texts[0]:17} {texts[1]:10} {texts[2]}")

assert rows[1] == (None, None, None)
for method in ("torch", "tf"):
    temperature, visits, ill = (found[method][name] for name in columns)
    assert temperature[:2] == [36.5, 0.0] and np.isnan(temperature[2])
    assert visits == [3, 0, 0] and ill == [True, False, False]
arrays = table.fetchnumpy()
for name in columns:
    assert np.ma.getmaskarray(arrays[name]).tolist() == [False, True, False]
    assert table.df()[name].isna()[1] and found["pl"][name][1] is None
PYTHON

export CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
"$dir/venv/bin/python" "$dir/tensors.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

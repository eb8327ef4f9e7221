#!/usr/bin/env bash
# scikit-learn takes a null of polars for one more text: it is not filled in, and gets a number of its own.
#
# scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6, polars 2.1.0, pandas 3.1.1; Python 3.11, Linux, CPU.
#
# SimpleImputer(strategy="most_frequent") fills in the missing colour of a pandas DataFrame, and OrdinalEncoder
# gives it NaN, or what encoded_missing_value says. Of the same CSV read with polars, the imputer returns the
# null as it is, add_indicator adds no column, and OrdinalEncoder numbers the null as if it were one more colour,
# whatever encoded_missing_value says. Missing numbers are filled in from both. There is no warning.
#
# scikit-learn turns a frame into an array of objects. There pandas has nan, which is the default of
# missing_values, and polars None. SimpleImputer(missing_values=None) fills it in. The docstrings of both do not
# speak of polars, whose frames scikit-learn takes, and returns after set_output(transform="polars").
#
# Seen:
#   pandas  SimpleImputer  red blue red red     indicator 0 0 0 1
#           OrdinalEncoder 1 0 1 nan            encoded_missing_value=-1  1 0 1 -1
#   polars  SimpleImputer  red blue red None    indicator none
#           OrdinalEncoder 1 0 1 2              encoded_missing_value=-1  1 0 1 2
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6 polars==2.1.0 pandas==3.1.1

cat > "$dir/nulls.py" <<'PYTHON'
import io
import warnings

import numpy as np
import pandas as pd
import polars as pl
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OrdinalEncoder

warnings.simplefilter("error")  # none is given
text = "colour,weight\nred,1\nblue,2\nred,\n,4\n"
tables = {"pandas": pd.read_csv(io.StringIO(text)), "polars": pl.read_csv(io.StringIO(text))}
for name, table in tables.items():
    colours = table[["colour"]]
    filled = SimpleImputer(strategy="most_frequent").fit_transform(colours)[:, 0]
    both = SimpleImputer(strategy="most_frequent", add_indicator=True).fit_transform(colours)
    encoded = OrdinalEncoder().fit_transform(colours)[:, 0]
    marked = OrdinalEncoder(encoded_missing_value=-1).fit_transform(colours)[:, 0]
    numbers = SimpleImputer().fit_transform(table[["weight"]])[:, 0]
    indicator = " ".join(f"{int(value)}" for value in both[:, 1]) if both.shape[1] > 1 else "none"
    print(f"{name}  SimpleImputer  {' '.join(map(str, filled)):19}  indicator {indicator}")
    print(
        f"        OrdinalEncoder {' '.join(f'{code:g}' for code in encoded):19} "
        f" encoded_missing_value=-1  {' '.join(f'{code:g}' for code in marked)}"
    )
    assert np.allclose(numbers, [1, 2, 7 / 3, 4])
    if name == "pandas":
        assert list(filled) == ["red", "blue", "red", "red"] and list(marked) == [1, 0, 1, -1]
        assert np.isnan(encoded[3]) and indicator == "0 0 0 1"
    else:
        assert list(filled) == ["red", "blue", "red", None] and list(marked) == [1, 0, 1, 2]
        assert list(encoded) == [1, 0, 1, 2] and indicator == "none"
        imputer = SimpleImputer(strategy="most_frequent", missing_values=None)
        assert list(imputer.fit_transform(colours)[:, 0]) == ["red", "blue", "red", "red"]
PYTHON

"$dir/venv/bin/python" "$dir/nulls.py"

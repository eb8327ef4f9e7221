#!/usr/bin/env bash
# LightGBM takes integers of a NumPy array in float32: times in seconds since 1970 are 128 s apart.
#
# lightgbm 4.7.0, scipy 1.17.1, numpy 2.4.6, pandas 3.1.1; Python 3.11, Linux, CPU.
#
# A label is 1 in the first half of each minute. From the times of ten minutes, in whole seconds since 1970, a
# booster classifies 99 percent of the rows correctly, if they are a pandas DataFrame or an array of float64. From
# the same times as an int64 array it classifies 55 percent so. It also predicts worse: a booster that was trained
# on the DataFrame has 53 percent of the rows right once they come as df.to_numpy(). Identifiers and counts above
# 16.7 million are merged alike. No warning is given.
#
# LightGBM computes with float64, and keeps the type of an array in float32 or float64. An array of any other
# type becomes float32 (_np2d_to_np1d in basic.py), where a DataFrame of int64 becomes float64. The types are
# not documented. array.astype("float64") mends it.
#
# Seen:
#   trained on       predicts DataFrame  float64  int64
#   DataFrame        0.99                0.99     0.53
#   float64          0.99                0.99     0.53
#   int64            0.55                0.55     0.55
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    lightgbm==4.7.0 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1

cat > "$dir/times.py" <<'PYTHON'
import warnings

import lightgbm
import numpy as np
import pandas as pd

warnings.simplefilter("error")  # none is given
generator = np.random.default_rng(0)
seconds = generator.integers(0, 600, (2000, 1)) + 1_764_000_000
labels = (seconds[:, 0] - 1_764_000_000) % 60 < 30
tables = {"DataFrame": pd.DataFrame(seconds, columns=["time"])}
tables |= {"float64": seconds.astype("float64"), "int64": seconds}
parameters = {"objective": "binary", "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
print("trained on       predicts DataFrame  float64  int64")
for name, table in tables.items():
    booster = lightgbm.train(parameters, lightgbm.Dataset(table, labels), 30)
    shares = [np.mean((booster.predict(other) > 0.5) == labels) for other in tables.values()]
    print(f"{name:15}  {shares[0]:.2f}                {shares[1]:.2f}     {shares[2]:.2f}")
    assert shares[2] < 0.6
    assert (max(shares) < 0.6) if name == "int64" else min(shares[:2]) > 0.9
PYTHON

"$dir/venv/bin/python" "$dir/times.py"

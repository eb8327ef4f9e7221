#!/usr/bin/env bash
# dask.array.unique counts no NaN, and its inverse turns each NaN into the smallest value.
#
# dask 2026.8.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# np.unique gives NaN as one value, with its count, and values[inverse] is the array again. dask.array.unique
# gives the same values; but the count of NaN is 0, and the inverse has a 0 in its place, so that
# values[inverse] has the smallest number where a value was missing. Nothing is said. dask looks for each
# value with ==, both to count it and for the inverse, and NaN is not equal to itself. return_index, which
# takes the smallest of the places found, raises a ValueError for such an array once it is computed.
#
# Seen:
#                  numpy                       dask
#   values         [1.0 2.0 nan]               [1.0 2.0 nan]
#   counts         [1 2 3]                     [1 2 0]
#   of the inverse [1.0 2.0 nan nan 2.0 nan]   [1.0 2.0 1.0 1.0 2.0 1.0]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    dask==2026.8.0 numpy==2.4.6

cat > "$dir/unique.py" <<'PYTHON'
import warnings

import dask.array as da
import numpy as np

warnings.simplefilter("error")  # none is given
column = np.array([1, 2, np.nan, np.nan, 2, np.nan])


def text(array):
    return "[" + " ".join(str(number) for number in array.tolist()) + "]"


for chunk in (2, 6):  # whether or not there are several
    chunked = da.from_array(column, chunks=chunk)
    lazy = da.unique(chunked, return_inverse=True, return_counts=True)
    values, inverse, counts = (array.compute() for array in lazy)
    right, right_inverse, right_counts = np.unique(column, return_inverse=True, return_counts=True)

    assert np.array_equal(values, right, equal_nan=True)
    assert np.array_equal(right[right_inverse], column, equal_nan=True)
    assert right_counts.tolist() == [1, 2, 3] and counts.tolist() == [1, 2, 0]
    assert values[inverse].tolist() == [1, 2, 1, 1, 2, 1]

    indices = da.unique(chunked, return_index=True)[1]
    try:
        indices.compute()
    except ValueError as error:
        assert "zero-size array" in str(error)
    else:
        raise AssertionError("return_index does not raise")

print(f"{'':14} {'numpy':27} dask")
print(f"{'values':14} {text(right):27} {text(values)}")
print(f"{'counts':14} {text(right_counts):27} {text(counts)}")
print(f"{'of the inverse':14} {text(right[right_inverse]):27} {text(values[inverse])}")
PYTHON

"$dir/venv/bin/python" "$dir/unique.py"

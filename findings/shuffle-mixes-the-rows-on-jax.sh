#!/usr/bin/env bash
# On jax, keras.random.shuffle of a table shuffles each column by itself: the rows are mixed.
#
# keras 3.15.1 with jax 0.10.2, tensorflow-cpu 2.21.0 and torch 2.13.0; Python 3.11, Linux, CPU.
#
# The rows of a table are samples, and shuffling them along axis 0, the default, changes their order. On
# tensorflow and torch, as in NumPy, each row stays what it was. On jax none does: each column gets an order
# of its own, so that a sample has the height of one person and the weight of another, a label beside the
# features belongs to somebody else, and each batch of images has pixels of all of them. Means and deviations
# of the columns stay right, what connects them is gone: two columns that are equal up to noise
# correlate with 1.0 before, and with nearly 0 after. Along axis 1, torch does the same to columns.
#
# Keras calls jax.random.permutation with independent=True, and draws an order for each row on torch. In one
# dimension there is no difference. take(x, shuffle(arange(len(x))), axis=0) keeps rows on every backend.
#
# Seen:
#   jax         rows kept    0 of 1000  correlation -0.02  columns kept 0 of 8  by an index 1000 of 1000
#   tensorflow  rows kept 1000 of 1000  correlation  1.00  columns kept 8 of 8  by an index 1000 of 1000
#   torch       rows kept 1000 of 1000  correlation  1.00  columns kept 0 of 8  by an index 1000 of 1000
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/shuffle.py" <<'PYTHON'
import keras
import numpy as np
from keras import ops

backend = keras.backend.backend()


def shuffled(values, axis=0):
    return ops.convert_to_numpy(keras.random.shuffle(values, axis=axis, seed=1))


def kept(after, before):
    """How many rows of `before` are rows of `after`."""
    return len({row.tobytes() for row in before} & {row.tobytes() for row in after})


rng = np.random.default_rng(0)
table = rng.normal(size=(1000, 8)).astype("float32")
table[:, 1] = table[:, 0] + rng.normal(scale=0.01, size=1000)
by_row = shuffled(table)
by_column = shuffled(table, axis=1)
by_index = table[shuffled(np.arange(1000))]
rows, indexed = kept(by_row, table), kept(by_index, table)
columns = kept(np.ascontiguousarray(by_column.T), np.ascontiguousarray(table.T))
together = np.corrcoef(by_row[:, 0].astype("float64"), by_row[:, 1].astype("float64"))[0, 1]
print(
    f"{backend:10}  rows kept {rows:4} of 1000  correlation {together:5.2f}"
    f"  columns kept {columns} of 8  by an index {indexed} of 1000"
)
np.testing.assert_array_equal(np.sort(by_row, axis=0), np.sort(table, axis=0))
assert indexed == 1000 and kept(rng.permutation(table), table) == 1000
if backend == "jax":
    assert rows == columns == 0 and abs(together) < 0.1
else:
    assert rows == 1000 and together > 0.99
    assert columns == (8 if backend == "tensorflow" else 0)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/shuffle.py" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done

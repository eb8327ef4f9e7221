#!/usr/bin/env bash
# Keras' Discretization makes 50 bins where 49 are asked for, and 100 where 200 are.
#
# keras 3.15.1; tensorflow-cpu 2.21.0, jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# Discretization(num_bins=49) numbers values by quantile, so one gives the embedding after it 49 rows. adapt
# makes 50 bins, the last of which holds the largest value alone: its row does not exist. In jax the embedding
# of that value is NaN. With 200 bins, of 100,000 values that all differ, adapt makes 100, so that half of the
# rows are never trained. Nothing is said. 32, 64 and 100 bins are as asked for.
#
# Keras steps from 0 to 1 by 1 / num_bins: 49 steps of 1 / 49 end a little below 1, and a 50th begins there.
# And adapt keeps 1 / epsilon values at most, which is 100 unless given; where more bins are asked for, it
# takes each of them for a border. Before adapt, a layer's output has the shape of what was asked for.
#
# Seen:
#   asked for   bins   values in the smallest and the largest
#          32     32   3124 3126
#          49     50   1 2041
#          64     64   1562 1563
#          98     99   1 1021
#         100    100   999 1001
#         200    100   999 1001
#        1000    100   999 1001
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/bins.py" <<'PYTHON'
import warnings

import keras
import numpy as np

values = np.random.default_rng(0).permutation(100_000).astype("float32")
print("asked for   bins   values in the smallest and the largest")
for asked, made in ((32, 32), (49, 50), (64, 64), (98, 99), (100, 100), (200, 100), (1000, 100)):
    layer = keras.layers.Discretization(num_bins=asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none is given
        layer.adapt(values)
        numbers = keras.ops.convert_to_numpy(layer(values))
    counts = np.bincount(numbers)
    print(f"{asked:9} {counts.size:6}   {counts.min()} {counts.max()}")
    assert counts.size == len(layer.bin_boundaries) + 1 == made and counts.min() > 0
    if asked == 49:
        assert np.flatnonzero(numbers == 49).tolist() == [values.argmax()] and counts[-1] == 1
        embedded = keras.layers.Embedding(49, 1)(numbers)
        missing = np.isnan(keras.ops.convert_to_numpy(embedded)).ravel()
        assert np.flatnonzero(missing).tolist() == [values.argmax()]

layer = keras.layers.Discretization(num_bins=200, epsilon=0.001)
layer.adapt(values)
assert len(layer.bin_boundaries) + 1 == 200
PYTHON

export KERAS_BACKEND=jax KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
"$dir/venv/bin/python" "$dir/bins.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

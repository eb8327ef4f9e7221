#!/usr/bin/env bash
# Adam moves an embedding's row too far on tensorflow if its index is repeated in the batch.
#
# keras 3.15.1 with tensorflow-cpu 2.21.0 and with jax 0.10.2; Python 3.11, Linux, CPU.
#
# A batch holds one index eight times. The first step of Adam with a learning rate of 0.1 moves each
# weight by 0.1, whatever the size of its gradient: jax and torch (2.13.0) do so. On tensorflow the
# row moves by 0.1 * sqrt(8) = 0.283. A row that occurs once moves by 0.1 on each of them.
#
# TensorFlow passes the gradient of an Embedding as IndexedSlices, in which an index may occur
# several times. Keras adds each slice to Adam's slots by itself. So the first moment is of the sum of
# the eight gradients, as it should be, and the second of the sum of their squares instead of the
# square of their sum: 0.032 instead of 0.256.
#
# Seen:
#   jax         once 0.100  eight times 0.100
#   tensorflow  once 0.100  eight times 0.283
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/step.py" <<'PYTHON'
import sys

import keras
import numpy as np

expected = float(sys.argv[1])
model = keras.Sequential(
    [
        keras.Input((9,), dtype="int32"),
        keras.layers.Embedding(3, 1, embeddings_initializer="zeros"),
        keras.layers.Flatten(),
        keras.layers.Dense(1, kernel_initializer="ones", trainable=False),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mean_squared_error")
model.fit(np.array([[1] + [2] * 8]), np.array([[1.0]]), epochs=1, verbose=0)

[rows] = model.layers[0].get_weights()
once, eight_times = abs(float(rows[1, 0])), abs(float(rows[2, 0]))
print(f"{keras.backend.backend():10}  once {once:.3f}  eight times {eight_times:.3f}")
np.testing.assert_allclose([once, eight_times], [0.1, expected], atol=5e-4)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
KERAS_BACKEND=jax "$dir/venv/bin/python" "$dir/step.py" 0.100 2> "$dir/log" || { cat "$dir/log"; exit 1; }
KERAS_BACKEND=tensorflow "$dir/venv/bin/python" "$dir/step.py" 0.283 2> "$dir/log" || { cat "$dir/log"; exit 1; }

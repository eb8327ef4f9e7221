#!/usr/bin/env bash
# On tensorflow fit(shuffle=True) takes the samples in the same order in every epoch, if seeded.
#
# keras 3.15.1 with tensorflow-cpu 2.21.0 and with jax 0.10.2; Python 3.11, Linux, CPU.
#
# After keras.utils.set_random_seed, fit() of NumPy arrays with shuffle=True (the default) draws a new
# permutation of the samples for each epoch on jax and on torch (2.13.0). On tensorflow each epoch
# has the same permutation, and so has a second fit(): the same samples share a batch every time.
# Without the seed, tensorflow draws a new one for each epoch too.
#
# Seen, eight samples in batches of one:
#   jax         epoch 1: 2 7 4 8 1 5 3 6  epoch 2: 6 3 4 5 8 1 7 2  epoch 3: 3 6 7 8 4 5 2 1
#   tensorflow  epoch 1: 7 5 8 4 3 2 6 1  epoch 2: 7 5 8 4 3 2 6 1  epoch 3: 7 5 8 4 3 2 6 1
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/order.py" <<'PYTHON'
import sys

import keras
import numpy as np


class Order(keras.callbacks.Callback):
    """Reads which sample a batch of one held from its loss, the square of the sample."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])
        self.total = 0.0

    def on_train_batch_end(self, batch, logs=None):
        total = float(logs["loss"]) * (batch + 1)  # the log is the mean of the batches so far
        self.epochs[-1].append(round((total - self.total) ** 0.5))
        self.total = total


keras.utils.set_random_seed(0)
samples = np.arange(1, 9, dtype="float32")[:, None]
model = keras.Sequential(
    [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones", trainable=False)]
)
model.compile(optimizer="sgd", loss="mean_squared_error")
order = Order()
model.fit(samples, 0 * samples, batch_size=1, epochs=3, verbose=0, callbacks=[order])

epochs = [" ".join(map(str, epoch)) for epoch in order.epochs]
print(f"{keras.backend.backend():10}", *(f" epoch {i}: {e}" for i, e in enumerate(epochs, 1)))
assert all(sorted(epoch) == list(range(1, 9)) for epoch in order.epochs)
assert len(set(epochs)) == int(sys.argv[1])
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
KERAS_BACKEND=jax "$dir/venv/bin/python" "$dir/order.py" 3 2> "$dir/log" || { cat "$dir/log"; exit 1; }
KERAS_BACKEND=tensorflow "$dir/venv/bin/python" "$dir/order.py" 1 2> "$dir/log" || { cat "$dir/log"; exit 1; }

#!/usr/bin/env bash
# On torch, fit draws from the default generator once more after the last step of each epoch.
#
# keras 3.15.1 with torch 2.13.0; Python 3.11, Linux, CPU.
#
# An iterator of torch's DataLoader draws a seed from the default generator when it is made, also
# without shuffling and without workers. A loop over a loader makes one in each epoch. Keras' fit makes
# two: the one that it takes the batches from, and, once these are used up, another one, of which it
# takes nothing. So from the second epoch on, layers that draw from that generator, such as
# torch.nn.Dropout, draw other numbers than in a loop over the same batches; and the state of the
# generator in on_train_batch_end of the last batch is not that of the end of the epoch.
#
# Seen, of two epochs of 4 steps in which nothing else draws, after which steps the state is another
# than before:
#   a loop    the beginning of epoch 1, the beginning of epoch 2
#   fit       the beginning of epoch 1, the end of epoch 1, the beginning of epoch 2, the end of epoch 2
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 torch==2.13.0 numpy==2.4.6

cat > "$dir/draws.py" <<'PYTHON'
import keras
import numpy as np
import torch

EPOCHS = 2
arrays = np.random.default_rng(0).random((64, 4), "float32"), np.zeros((64, 1), "float32")
tensors = torch.utils.data.TensorDataset(*map(torch.from_numpy, arrays))
loader = torch.utils.data.DataLoader(tensors, batch_size=16)


class Watch(keras.callbacks.Callback):
    """Notes where the state of the generator has changed."""

    def __init__(self):
        super().__init__()
        self.state, self.changed = torch.get_rng_state(), []

    def look(self, where):
        if not torch.equal(state := torch.get_rng_state(), self.state):
            self.state = state
            self.changed.append(where)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        self.look(f"before epoch {self.epoch}")

    def on_train_batch_end(self, batch, logs=None):
        beginning = f"the beginning of epoch {self.epoch}"
        self.look(beginning if batch == 0 else f"step {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        self.look(f"the end of epoch {self.epoch}")


torch.manual_seed(0)
by_loop = Watch()
for epoch in range(EPOCHS):
    by_loop.on_epoch_begin(epoch)
    for batch, _ in enumerate(loader):
        by_loop.on_train_batch_end(batch)
    by_loop.on_epoch_end(epoch)

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.evaluate(loader, verbose=0)  # build all that draws once
torch.manual_seed(0)
by_fit = Watch()
model.fit(loader, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[by_fit])

for name, watch in (("a loop", by_loop), ("fit", by_fit)):
    print(f"{name:8}  {', '.join(watch.changed)}")
beginnings = [f"the beginning of epoch {n + 1}" for n in range(EPOCHS)]
assert by_loop.changed == beginnings
both = [f"the {part} of epoch {n + 1}" for n in range(EPOCHS) for part in ("beginning", "end")]
assert by_fit.changed == both
PYTHON

export KERAS_HOME="$dir/keras" KERAS_BACKEND=torch CUDA_VISIBLE_DEVICES=""
"$dir/venv/bin/python" "$dir/draws.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

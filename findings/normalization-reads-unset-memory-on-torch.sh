#!/usr/bin/env bash
# On torch, a Normalization layer in a subclassed model reads its mean and variance from unset memory.
#
# keras 3.15.1 with torch 2.13.0 and with jax 0.10.2; Python 3.11, Linux, CPU.
#
# A subclassed model that holds keras.layers.Normalization(mean=0.5, variance=4.0) gives
# (x - 0.5) / 2. On torch it gives other numbers, without an error; on jax and tensorflow the call fails.
#
# Keras builds the layers of a model that has no build() in a symbolic call. Normalization.build()
# keeps its mean and variance as tensors, and those of a symbolic call have no values: on torch they
# are on the device "meta". When the layer is used, convert_to_tensor replaces such a tensor by
# torch.empty_like(...). The program fills what is freed with 7, so that the memory isn't 0 by chance.
#
# Seen:
#   torch  another result than (x - 0.5) / 2, without an error
#   jax    UnexpectedTracerError
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/call.py" <<'PYTHON'
import keras
import numpy as np


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.normalization = keras.layers.Normalization(mean=0.5, variance=4.0)

    def call(self, x):
        return self.normalization(x)


backend = keras.backend.backend()
x = np.ones((2, 3), "float32")
try:
    filled = [keras.ops.full((1, 3), 7.0) for _ in range(1000)]
    del filled
    y = keras.ops.convert_to_numpy(Net()(x))
    assert not np.allclose(y, (x - 0.5) / 2), y
    print(f"{backend:5}  another result than (x - 0.5) / 2, without an error")
    assert backend == "torch"
except Exception as error:
    assert backend == "jax", error
    print(f"{backend:5}  {type(error).__name__}")
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES=""
KERAS_BACKEND=torch "$dir/venv/bin/python" "$dir/call.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
KERAS_BACKEND=jax "$dir/venv/bin/python" "$dir/call.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

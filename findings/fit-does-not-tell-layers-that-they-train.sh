#!/usr/bin/env bash
# In fit(), Dropout does nothing in a subclassed model that does not pass it `training`.
#
# keras 3.15.1 with jax 0.10.2 and with torch 2.13.0; Python 3.11, Linux, CPU.
#
# Keras documents that a layer takes `training` from the call of the layer around it. So a subclassed
# model need not pass it on, and mostly does not. But fit() passes it to the model only if its call
# has an argument of this name; and on jax fit() calls the model by stateless_call(), which enters no
# call context, so that the layers do not see it even then. model(x, training=True) does tell them.
#
# Seen (whether a layer in the model trains, in fit() and in model(x, training=True)):
#   jax    call(x)                  fit False  call True
#   jax    call(x, training=False)  fit False  call True
#   torch  call(x)                  fit False  call True
#   torch  call(x, training=False)  fit True   call True
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/fit.py" <<'PYTHON'
import keras
import numpy as np

seen = []


class Tells(keras.layers.Layer):
    def call(self, x, training=False):
        seen.append(training)
        return x


class Without(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner, self.dense = Tells(), keras.layers.Dense(1)

    def call(self, x):
        return self.dense(self.inner(x))


class With(Without):
    def call(self, x, training=False):
        return self.dense(self.inner(x))


backend = keras.backend.backend()
x = np.ones((4, 2), "float32")
for net, name in ((Without, "call(x)"), (With, "call(x, training=False)")):
    model = net()
    model(x)
    model.compile(optimizer="sgd", loss="mean_squared_error")
    seen.clear()
    model.fit(x, x[:, :1], verbose=0)
    in_fit = any(seen)
    seen.clear()
    model(x, training=True)
    print(f"{backend:5}  {name:23}  fit {in_fit!s:5}  call {any(seen)}")
    assert in_fit == (backend == "torch" and net is With) and any(seen)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES=""
for backend in jax torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/fit.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

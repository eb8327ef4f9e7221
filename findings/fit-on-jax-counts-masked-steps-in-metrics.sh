#!/usr/bin/env bash
# On jax, fit() counts masked steps in the metrics, but neither in the loss nor in evaluate().
#
# keras 3.15.1 with tensorflow-cpu 2.21.0 and with jax 0.10.2; Python 3.11, Linux, CPU.
#
# Two sequences of 4 tokens have 2 and 1 real ones; the rest is padding, which the embedding masks.
# The model returns 0 for each step. The labels are 1 at real steps and 9 at masked ones, so the mean
# absolute error is 1. It is compiled as the loss and as a metric, and nothing is learned, as the
# learning rate is 0. On tensorflow, and on torch (2.13.0), all four values are 1. On jax the metric
# that fit() logs is 6, the mean over all steps; the loss beside it and evaluate() are right.
#
# Keras keeps a mask as an attribute of its tensor. On jax fit() takes the outputs from
# value_and_grad, which makes new arrays without it.
#
# Seen:
#   jax         fit: loss 1.0 mae 6.0  evaluate: loss 1.0 mae 1.0
#   tensorflow  fit: loss 1.0 mae 1.0  evaluate: loss 1.0 mae 1.0
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/masked.py" <<'PYTHON'
import sys

import keras
import numpy as np

tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
labels = np.where(tokens > 0, 1.0, 9.0)[..., np.newaxis]
model = keras.Sequential(
    [
        keras.Input((4,), dtype="int32"),
        keras.layers.Embedding(5, 1, mask_zero=True),
        keras.layers.Dense(1, kernel_initializer="zeros"),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mae", metrics=["mae"])

fitted = [values[0] for values in model.fit(tokens, labels, verbose=0).history.values()]
evaluated = model.evaluate(tokens, labels, verbose=0)
shown = ("loss {:.1f} mae {:.1f}".format(*values) for values in (fitted, evaluated))
print(f"{keras.backend.backend():10}  fit: {next(shown)}  evaluate: {next(shown)}")
np.testing.assert_allclose([*fitted, *evaluated], [1, float(sys.argv[1]), 1, 1], atol=1e-6)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
KERAS_BACKEND=jax "$dir/venv/bin/python" "$dir/masked.py" 6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
KERAS_BACKEND=tensorflow "$dir/venv/bin/python" "$dir/masked.py" 1 2> "$dir/log" || { cat "$dir/log"; exit 1; }

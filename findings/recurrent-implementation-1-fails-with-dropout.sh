#!/usr/bin/env bash
# LSTM and GRU with implementation=1 and dropout predict, but raise once they train.
#
# keras 3.15.1 with jax 0.10.2; Python 3.11, Linux, CPU. The same on tensorflow (2.21.0) and torch
# (2.13.0), with the error of each.
#
# implementation=1 is one of the two documented ways to compute the gates; it draws an input dropout
# mask for each gate. The layer multiplies its whole input by one mask, before the loop over the
# steps, and takes the list of masks for it. Building, calling and saving the layer say nothing, as
# dropout is off there. implementation=2, the default, trains, and so does implementation=1 with
# recurrent_dropout in place of dropout. In fit() on jax the message is an AttributeError of jax's own
# error class instead, which Keras makes anew from a text.
#
# Seen:
#   LSTM  dropout=0.5            implementation=1  predicts  training: ValueError
#   LSTM  dropout=0.5            implementation=2  predicts  trains
#   LSTM  recurrent_dropout=0.5  implementation=1  predicts  trains
#   GRU   dropout=0.5            implementation=1  predicts  training: ValueError
#   GRU   dropout=0.5            implementation=2  predicts  trains
#   GRU   recurrent_dropout=0.5  implementation=1  predicts  trains
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/layers.py" <<'PYTHON'
import keras
import numpy as np

inputs = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
cases = (("dropout", 1, "training: ValueError"), ("dropout", 2, "trains"),
         ("recurrent_dropout", 1, "trains"))
for kind in (keras.layers.LSTM, keras.layers.GRU):
    for option, implementation, expected in cases:
        layer = kind(6, implementation=implementation, **{option: 0.5})
        assert layer(inputs).shape == (4, 6)
        try:
            layer(inputs, training=True)
            found = "trains"
        except Exception as error:
            found = f"training: {type(error).__name__}"
        print(f"{kind.__name__:5} {option + '=0.5':22} implementation={implementation}", end="  ")
        print(f"predicts  {found}")
        assert found == expected
PYTHON

export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax JAX_PLATFORMS=cpu
"$dir/venv/bin/python" "$dir/layers.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

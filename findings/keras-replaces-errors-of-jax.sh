#!/usr/bin/env bash
# What jax says of a branch on a traced value is lost in a Keras layer: an AttributeError remains.
#
# keras 3.15.1 with jax 0.10.2; Python 3.11, Linux, CPU.
#
# A Python `if` on a tensor can't be compiled, and jax explains that at length. An error that passes
# through a layer's call is made anew by Keras, from a text that names the layer. jax' errors about
# traced values take the value and not a text, so that making one fails, and the user gets that
# failure. The error of jax is its __context__, which Python does not print, as Keras raises `from
# None`. keras.config.disable_traceback_filtering() leaves the error as it is.
#
# Seen, of a function that branches, in a layer, and in a layer without the filter:
#   jax.jit            TracerBoolConversionError  Attempted boolean conversion of traced array with shape bool[].
#   a layer            AttributeError             'str' object has no attribute '_error_repr'
#   the filter is off  TracerBoolConversionError  Attempted boolean conversion of traced array with shape bool[].
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/branch.py" <<'PYTHON'
import jax
import keras
import numpy as np


def branch(x):
    return x if keras.ops.sum(x) > 0 else -x


class Branch(keras.layers.Layer):
    def call(self, x):
        return branch(x)


def error_of(name, function):
    try:
        jax.jit(function)(np.ones((4, 3), "float32"))
    except Exception as error:
        print(f"{name:17}  {type(error).__name__:25}  {str(error).splitlines()[0]}")
        return error
    raise AssertionError("nothing was raised")


plain = error_of("jax.jit", branch)
replaced = error_of("a layer", Branch())
keras.config.disable_traceback_filtering()
kept = error_of("the filter is off", Branch())
assert type(plain) is type(kept) is type(replaced.__context__), type(replaced.__context__)
assert type(replaced) is AttributeError and "boolean conversion" not in str(replaced)
PYTHON

export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax JAX_PLATFORMS=cpu
"$dir/venv/bin/python" "$dir/branch.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

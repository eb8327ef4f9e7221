#!/usr/bin/env bash
# Under the policy "bfloat16" Adam changes no weight at all, and fit() says nothing.
#
# keras 3.15.1 with jax 0.10.2; Python 3.11, Linux, CPU. The same on tensorflow and torch (2.13.0).
#
# Adam's beta_2 is 0.999 by default, which bfloat16 rounds to 1. The second moment is then multiplied
# by 1 and given 1 - 1 = 0 of each new gradient, and the correction of its bias makes the step's size
# 0. The loss stays where it began. Under "mixed_bfloat16" the optimizer computes in float32, and
# trains as in float32.
#
# Seen, a regression of 1024 samples over three epochs:
#   float32         loss 21.56 16.82 12.42  weights changed 1409 of 1409
#   mixed_bfloat16  loss 21.56 16.82 12.42  weights changed 1409 of 1409
#   bfloat16        loss 21.96 21.96 21.96  weights changed 0 of 1409
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/adam.py" <<'PYTHON'
import sys

import keras
import numpy as np

policy, expected = sys.argv[1], int(sys.argv[2])
keras.utils.set_random_seed(0)
keras.config.set_dtype_policy(policy)
generator = np.random.default_rng(0)
inputs = generator.normal(size=(1024, 20)).astype("float32")
targets = (inputs @ generator.normal(size=(20, 1))).astype("float32")
model = keras.Sequential(
    [keras.Input((20,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1)]
)


def weights():
    return np.concatenate([np.ravel(w).astype("float32") for w in model.get_weights()])


before = weights()
model.compile(optimizer=keras.optimizers.Adam(), loss="mean_squared_error")
losses = model.fit(inputs, targets, epochs=3, verbose=0).history["loss"]
changed = int(np.sum(weights() != before))
print(
    f"{policy:14}  loss", *(f"{loss:.2f}" for loss in losses),
    f" weights changed {changed} of {before.size}",
)
assert changed == expected
PYTHON

export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax JAX_PLATFORMS=cpu
for policy in "float32 1409" "mixed_bfloat16 1409" "bfloat16 0"; do
    # shellcheck disable=SC2086 - the policy, and how many weights change
    "$dir/venv/bin/python" "$dir/adam.py" $policy 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

#!/usr/bin/env bash
# With gradient accumulation, Keras moves the moving average of the weights on each batch, not on each update.
#
# keras 3.15.1; torch 2.13.0, tensorflow-cpu 2.21.0, jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# gradient_accumulation_steps=4 trains as on batches four times as large: the weights change on every fourth
# batch. One expects the same of use_ema, so that both trainings end at the same average. The weights are the
# same; but the average also moves towards them on the three batches that do not change them. A momentum of
# 0.9 acts like 0.9 ** 4 = 0.66, and the 0.999 of a recipe like 0.996: the average spans a quarter of the
# updates. It is this average that fit leaves in the model. All backends do it.
#
# Keras puts off clipping, decay and the update until the last batch of the four, and not the average.
#
# Seen, after 10 updates of a weight that falls from 1 by 0.05 each: the weight and the average, of a batch for
# each update and of four:
#   jax          weight 0.500 0.500  average 0.776 0.628
#   tensorflow   weight 0.500 0.500  average 0.776 0.628
#   torch        weight 0.500 0.500  average 0.776 0.628
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/average.py" <<'PYTHON'
import keras
import numpy as np

MOMENTUM, UPDATES = 0.9, 10


def train(batches, **accumulation):
    weight = keras.Variable(np.ones(1, "float32"))
    optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=MOMENTUM, **accumulation)
    for _ in range(UPDATES * batches):
        optimizer.apply([keras.ops.ones(1)], [weight])
    last = keras.ops.convert_to_numpy(weight).item()
    optimizer.finalize_variable_values([weight])  # as fit does at its end
    return last, keras.ops.convert_to_numpy(weight).item()


def expected(batches):
    average = 0.95  # the weight after the first update
    for update in range(2, UPDATES + 1):
        moves = batches if update < UPDATES else 1
        average = average * MOMENTUM**moves + (1 - 0.05 * update) * (1 - MOMENTUM**moves)
    return average


weight, average = train(1)
weight_of_four, average_of_four = train(4, gradient_accumulation_steps=4)
print(
    f"{keras.backend.backend():11}  weight {weight:.3f} {weight_of_four:.3f}"
    f"  average {average:.3f} {average_of_four:.3f}"
)
assert abs(weight - 0.5) < 1e-5 and abs(weight_of_four - 0.5) < 1e-5
assert abs(average - expected(1)) < 1e-5 and abs(average_of_four - expected(4)) < 1e-5
assert average_of_four < average - 0.1
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/average.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done

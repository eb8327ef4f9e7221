#!/usr/bin/env bash
# A GradientTape around MirroredStrategy.run gives no gradients; tf.gradients, in the same graph, does.
#
# tensorflow-cpu 2.21.0; Python 3.11, Linux, CPU.
#
# To take the loss over the outputs of all replicas, as for a mean over the whole batch, one would run
# the model in strategy.run and let the tape around it record what the replicas compute. The tape
# records nothing of them: a replica has a thread of its own, and a tape belongs to a thread. The
# value is right, the gradient None, without a warning; also on one device, and with tape.watch. With
# the default strategy, which has no threads, there is a gradient. tf.gradients asks the graph, which
# holds the operations of all threads, and gives the gradient.
#
# Seen, for the sum over the replicas of w * 3 at w = 2:
#   the default strategy, a tape   6.0   [3.]
#   one device, a tape             6.0   None
#   two devices, a tape           12.0   None
#   two devices, tf.gradients     12.0   [6.]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6

cat > "$dir/replicas.py" <<'PYTHON'
import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
w, x = tf.Variable([2.0]), tf.constant([3.0])


def loss_of(strategy):
    parts = strategy.experimental_local_results(strategy.run(lambda: w * x))
    return tf.add_n([tf.reduce_sum(part) for part in parts])


def by_tape(strategy):
    with tf.GradientTape() as tape:
        tape.watch(w)
        loss = loss_of(strategy)
    return loss, tape.gradient(loss, w)


def by_graph(strategy):
    loss = loss_of(strategy)
    return loss, tf.gradients(loss, w)[0]


def seen(name, function, strategy):
    loss, gradient = tf.function(lambda: function(strategy))()
    gradient = None if gradient is None else gradient.numpy()
    print(f"{name:28}  {loss.numpy():5}   {gradient}")
    return loss.numpy(), None if gradient is None else gradient.tolist()


one, two = (tf.distribute.MirroredStrategy(devices) for devices in (["CPU:0"], ["CPU:0", "CPU:1"]))
assert seen("the default strategy, a tape", by_tape, tf.distribute.get_strategy()) == (6, [3.0])
assert seen("one device, a tape", by_tape, one) == (6, None)
assert seen("two devices, a tape", by_tape, two) == (12, None)
assert seen("two devices, tf.gradients", by_graph, two) == (12, [6.0])
PYTHON

export CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
"$dir/venv/bin/python" "$dir/replicas.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

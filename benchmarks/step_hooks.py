"""The hooks of one step alone: dlrun's with what a run adds to each, and Keras' list without any.

In processor time of the thread that trains, so that other work on the machine matters little.

    python benchmarks/step_hooks.py jax|tensorflow|torch
"""

import os
import statistics
import sys
import time

STEPS, TURNS = 20_000, 7


def each(hooks, logs):
    """Microseconds of the hooks of a step."""
    began = time.thread_time()
    for batch in range(STEPS):
        hooks.on_train_batch_begin(batch)
        hooks.on_train_batch_end(batch, logs)
    return (time.thread_time() - began) / STEPS * 1e6


def main(backend):
    os.environ["KERAS_BACKEND"] = backend
    import keras
    import numpy as np

    from dlrun.backends import training_module
    from dlrun.callbacks.checkpoint import Checkpoint
    from dlrun.callbacks.csv import CSV
    from dlrun.callbacks.progress import Progress
    from dlrun.data.batches import Batches
    from dlrun.data.dataset import Dataset, Split
    from dlrun.loops.epoch import StartEpoch
    from dlrun.loops.hooks import StepHooks
    from dlrun.training.hooks.finite import StopOnNonFinite
    from dlrun.training.hooks.interruption import Interruption
    from dlrun.training.hooks.learning_rate import LogLearningRate
    from dlrun.training.hooks.monitor_finite import MonitorFinite
    from dlrun.training.hooks.timing import Timing

    split = Split(np.zeros((STEPS, 4), "float32"), np.zeros(STEPS, "int32"))
    batches = Batches(Dataset(split, split, split, num_classes=2), split, 1, seed=0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    callbacks = [StartEpoch(batches, 0, training_module(backend)), Interruption(), Timing(STEPS)]
    callbacks += [StopOnNonFinite(is_mean=True), MonitorFinite("loss"), LogLearningRate()]
    callbacks += [keras.callbacks.EarlyStopping("loss"), CSV("none.csv"), Progress(bar=False)]
    callbacks += [Checkpoint("none")]
    params = {"model": model, "epochs": 1, "steps": STEPS}
    own = StepHooks(callbacks, **params)
    bare = keras.callbacks.CallbackList([], add_history=True, **params)
    logs = {name: keras.ops.convert_to_tensor(0.5) for name in ("accuracy", "loss")}
    bare._on_begin()  # starts the threads to which Keras hands hooks on jax
    measured = {"dlrun": [], "Keras": []}
    for _ in range(TURNS):
        own.on_epoch_begin(0)
        measured["dlrun"].append(each(own, logs))
        measured["Keras"].append(each(bare, logs))
    bare._on_end()
    for name, of in measured.items():
        low, middle, high = statistics.quantiles(of, n=4)
        print(f"{backend:<11} {name:<6} {middle:6.1f} us a step ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main(sys.argv[1])

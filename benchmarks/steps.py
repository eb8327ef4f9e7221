"""What dlrun adds to each of many small steps: fit with the default callbacks against Keras' own.

The model is one Dense layer on four numbers, so that a step is as short as it can be. Each program
trains epochs of many steps in turn: ``dlrun`` with the default callbacks in each loop, ``batches``
as a bare ``model.fit`` of the same model on the same source of batches, and ``arrays``, the same on
plain arrays. Prints the microseconds of a step, of the clock and of the processor, and the median
of the differences from ``batches``, pair by pair, with the half of them that is nearest.

    python benchmarks/steps.py [--backends jax,tensorflow,torch] [--loops fit] [--steps 10000]
        [--before SRC]
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from turns import take_turns

HERE = Path(__file__).parent
BATCH = 16
SEED = 0


def points(steps):
    """For ``data=function``: so many batches of four numbers, and two classes."""
    import numpy as np

    numbers = np.random.default_rng(SEED).normal(size=(int(steps) * BATCH, 4)).astype("float32")
    return numbers, (numbers.sum(axis=1) > 0).astype("int32")


def one_layer(input_shape, num_classes):
    """The smallest model."""
    import keras

    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(inputs))


def dlrun(backend, loop, steps, epochs, source=None):
    """The command; ``source`` is the ``src`` of another build."""
    code = f"import sys; sys.path.insert(0, {source!r}); from dlrun.__main__ import main; main()"
    command = [sys.executable, "-c", code] if source else [Path(sys.executable).with_name("dlrun")]
    command += ["train", f"backend={backend}"]
    command += [f"loop={loop}", "device=cpu", f"epochs={epochs + 1}", f"batch_size={BATCH}"]
    command += ["data=function", "data.function=steps.points", f"+data.arguments.steps={steps}"]
    command += ["data.validation=0", "data.test=128", "task=classification", "task.monitor=loss"]
    command += ["model=linear_classifier", "model._target_=steps.one_layer"]
    command += ["callbacks.early_stopping.patience=1000"]
    command += ["optimizer=sgd", "optimizer.learning_rate=0.01"]
    command += ["+callbacks.turns._target_=steps_turns.TakeTurns"]
    return [*command, f"+callbacks.turns.file={'before' if source else loop}.txt", "--quiet"]


def keras_fit(backend, source, file, steps):
    """A bare ``fit``, in a process of its own."""
    os.environ["KERAS_BACKEND"] = backend
    import keras

    from dlrun.backends import training_module
    from dlrun.data.batches import Batches
    from dlrun.data.dataset import Dataset, Split
    from steps_turns import TakeTurns

    numbers, labels = points(steps)
    model, own = one_layer((4,), 2), training_module(backend)
    model.compile(
        own.adapt_optimizer(keras.optimizers.SGD(0.01)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    arguments = {"epochs": 10**6, "callbacks": [TakeTurns(file)], "verbose": 0}
    if source == "arrays":
        model.fit(numbers, labels, BATCH, **arguments)
    split = Split(numbers, labels)
    batches = Batches(Dataset(split, split, split, num_classes=2), split, BATCH, seed=SEED)
    model.fit(own.feed(batches), shuffle=False, **arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--loops", default="fit")
    parser.add_argument("--steps", type=int, default=10_000, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=7, help="of each, after the first")
    parser.add_argument("--before", metavar="SRC", help="src of an earlier build, in loop=fit")
    parser.add_argument("--keras", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.keras:
        return keras_fit(*chosen.keras, chosen.steps)
    for backend in chosen.backends.split(","):
        loops = chosen.loops.split(",")
        commands = {loop: dlrun(backend, loop, chosen.steps, chosen.epochs) for loop in loops}
        if chosen.before:
            arguments = (backend, "fit", chosen.steps, chosen.epochs, chosen.before)
            commands["before"] = dlrun(*arguments)
        for source in ("batches", "arrays"):
            own = [sys.executable, HERE / "steps.py", "--steps", str(chosen.steps)]
            commands[source] = [*own, "--keras", backend, source, f"{source}.txt"]
        with tempfile.TemporaryDirectory() as folder:
            wall = take_turns(commands, chosen.epochs, Path(folder))
            cpu = {name: read_cpu(Path(folder, f"{name}.txt"), chosen.epochs) for name in commands}
        for name in commands:
            words = [f"{backend:<11} {name:<11}"]
            for clock, seconds in (("wall", wall), ("cpu", cpu)):
                each = [value / chosen.steps * 1e6 for value in seconds[name]]
                bare = [value / chosen.steps * 1e6 for value in seconds["batches"]]
                added = [a - b for a, b in zip(each, bare, strict=True)]
                low, middle, high = statistics.quantiles(added, n=4)
                words.append(f"{clock} {statistics.median(each):7.1f} us a step")
                words.append(f"{middle:+7.1f} ({low:+.1f} to {high:+.1f})")
            print("  ".join(words), flush=True)
    return None


def read_cpu(file, epochs):
    return [float(line) for line in file.read_text().split()][-epochs:]


if __name__ == "__main__":
    main()

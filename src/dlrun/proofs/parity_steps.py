"""One process of ``dlrun parity``: predictions and first steps of one backend or loop.

``python -m dlrun.proofs.parity_steps`` reads a :class:`Job` as JSON from each line of stdin, writes
its answer as JSON to a file, and then a line to stdout.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends
from dlrun.assembly.companions import companions, together
from dlrun.assembly.start import start
from dlrun.checkpoints.weights import restore_weights
from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.inference.evaluation import evaluate_split
from dlrun.inference.prediction import predict_batches
from dlrun.system.child_job import answer_or_error
from dlrun.training.initial_weights import assign_initial_weights, read_initial_weights

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.batches import Batches
    from dlrun.data.dataset import Dataset

SAMPLES = 1000  # of the test split, to predict
# Attributes that make a layer draw random numbers, as Keras and users' layers name them.
RATES = ("rate", "stddev", "dropout", "recurrent_dropout")


@dataclass(frozen=True)
class Job:
    """The job of one process.

    Args:
        overrides: All overrides, including backend and loop.
        project: From :meth:`dlrun.config.project.Project.to_json`.
        steps: The number of training steps; 0 on a backend that can't train.
        random: Leave random layers, such as dropout, on.
        weights: Directory of the checkpoint that all processes start from.
        first: Whether this process writes that checkpoint.
        answer: The file for the answer; predictions are written beside it, as ``.npz``.
    """

    overrides: list[str]
    project: dict[str, Any]
    steps: int
    random: bool
    weights: str
    first: bool
    answer: str


def measure(job: Job) -> dict[str, Any]:
    """Predict and evaluate with the initial weights, train, and evaluate again.

    Raises:
        DlrunError: If the config can't run here.
    """
    config = _config(job)
    with companions(config, "dlrun.proofs.parity_steps:follow", job=vars(job)):
        return _measure(job, config)


def follow(job: dict[str, Any]) -> None:
    """The part of another process of a run that is spread over processes: it trains along."""
    follower = Job(**{**job, "first": False})
    if follower.steps:
        _measure(follower, _config(follower), follows=True)


def _config(job: Job) -> Config:
    config = compose(job.overrides, project=Project.from_json(job.project))
    # Steps are compared, not validations: the clock would end epochs elsewhere in each process.
    return replace(config, validate_every=None)


def _measure(job: Job, config: Config, *, follows: bool = False) -> dict[str, Any]:
    """As :func:`measure`; a process that follows another only trains."""
    start_time = time.perf_counter()
    backend, device, data, feed = start(config)

    from dlrun.assembly.check_inputs import match_inputs
    from dlrun.assembly.compile import compile_model
    from dlrun.assembly.model import build_model
    from dlrun.assembly.weights import weigh
    from dlrun.data.batches import Batches

    left_out = [] if job.random else [f"augmentation.{name}" for name in config.augmentation]
    config.augmentation = config.augmentation if job.random else {}
    model = build_model(config, data.spec)
    data = match_inputs(model, data)
    layers = list(model._flatten_layers())
    silenced, random = ([], _random(layers)) if job.random else _silence(layers)
    if not follows:  # it gets the weights from the other process
        _share_weights(model, config, Path(job.weights), make=job.first)
    compile_model(model, config, data.spec, length=data.length if job.steps else None)
    data = weigh(model, data, config)
    batches = Batches(data, data.train, config.batch_size, seed=config.seed)

    if follows:
        _train(_single_steps(config, feed), model, config, batches, job.steps)
        return {}
    predicted = _predict(model, config, data, Path(job.answer).with_suffix(".npz"))
    initial, final = evaluate_split(model, config, data, "test", feed), None
    losses: list[float] = []
    if job.steps:
        losses = _train(_single_steps(config, feed), model, config, batches, job.steps)
        final = evaluate_split(model, config, data, "test", feed)
    return {
        "version": backend.version(),
        "device": device,
        "seconds": round(time.perf_counter() - start_time, 4),
        **_kinds(layers),
        "silenced": silenced,
        "left_out": left_out,
        "random": random,
        "predicted": predicted,
        "tested": len(data.test),
        "initial": initial,
        "final": final,
        "losses": losses,
    }


def _single_steps(config: Config, feed: Any) -> Any:
    """The loop, each step of which reports its loss."""
    from dlrun.assembly.loop import build_loop

    if "steps_per_execution" in config.loop:
        config.loop["steps_per_execution"] = 1
    return build_loop(config, feed)


def _share_weights(model: Any, config: Config, directory: Path, *, make: bool) -> None:
    """Write the model's variables as the checkpoint of epoch 0, or read them from it."""
    import keras
    import numpy as np

    from dlrun.checkpoints.format import Variable, write_checkpoint
    from dlrun.checkpoints.store import START

    if not make:
        restore_weights(model, directory, 0)
        return
    if weights := read_initial_weights(config):
        assign_initial_weights(model, weights)
    arrays = [(v.path, np.asarray(keras.ops.convert_to_numpy(v.value))) for v in model.variables]
    variables = [Variable(path, array) for path, array in arrays]
    write_checkpoint(directory, START, {"model": variables}, {}, written_by={})


def _predict(model: Any, config: Config, data: Dataset, path: Path) -> int:
    """Write predictions for the first test samples, an array per output; returns their number."""
    from dlrun.data.tree import concatenate, tree_map
    from dlrun.system.arrays import write_npz

    inputs = tree_map(lambda array: array[:SAMPLES], data.split("test").inputs)
    outputs = concatenate(list(predict_batches(model, config, data.spec, inputs)))
    arrays = outputs if isinstance(outputs, Mapping) else {"predictions": outputs}
    with path.open("wb") as file:
        write_npz(file, arrays)
    return min(SAMPLES, len(data.test))


def _train(loop: Any, model: Any, config: Config, batches: Batches, steps: int) -> list[float]:
    """Train for ``steps`` steps, without the config's callbacks; returns the loss of each."""
    from dlrun.loops.training import Training
    from dlrun.proofs.step_losses import StepLosses

    step_losses = StepLosses(steps)
    with together(model, config, batches) as others:
        loop(
            Training(
                model=model,
                train=batches,
                validation=None,
                epochs=math.ceil(steps / len(batches)),
                seed=config.seed,
                callbacks=[step_losses, *others],
                backend=backends.training_module(config.backend.name),
            )
        )
    return step_losses.losses


def _kinds(layers: Sequence[Any]) -> dict[str, bool]:
    """The kinds of layers that decide the tolerance."""
    import keras

    convolutions = tuple(
        value
        for name, value in vars(keras.layers).items()
        if "Conv" in name and isinstance(value, type)
    )
    return {
        "batch_normalization": any(
            isinstance(layer, keras.layers.BatchNormalization) for layer in layers
        ),
        "convolution": any(isinstance(layer, convolutions) for layer in layers),
    }


def _random(layers: Sequence[Any]) -> list[str]:
    """The names of the layers that draw random numbers."""
    return [layer.name for layer in layers if layer._seed_generators]


def _silence(layers: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Set the rates of random layers to 0.

    Returns:
        The previous rates, as ``dropout.rate=0.5``, and the names of random layers without a rate.
    """
    silenced, others = [], []
    for layer in (layer for layer in layers if layer._seed_generators):
        rates = {name: getattr(layer, name, None) for name in RATES}
        rates = {n: rate for n, rate in rates.items() if isinstance(rate, float | int)}
        for name, rate in rates.items():
            setattr(layer, name, 0.0)
            silenced += [f"{layer.name}.{name}={rate:g}"] if rate else []
        others += [] if rates else [layer.name]
    return silenced, others


def main() -> None:
    """Do the jobs of stdin."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is not an answer
    for line in sys.stdin:
        job = json.loads(line)
        answer = answer_or_error(lambda job: measure(Job(**job)), job)
        Path(job["answer"]).write_text(json.dumps(answer), encoding="utf-8")
        if "keras" in sys.modules:
            backends.forget()
        print("done", file=answers, flush=True)


if __name__ == "__main__":
    main()

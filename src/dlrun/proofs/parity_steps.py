"""One process of ``dlrun parity``: the first steps of one backend or loop, and what it predicts.

``python -m dlrun.proofs.parity_steps JOB`` takes a :class:`Job` as JSON, and writes its answer as
JSON.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends
from dlrun.assembly.start import start
from dlrun.checkpoints.weights import restore_weights
from dlrun.config.compose import compose
from dlrun.errors import DlrunError
from dlrun.inference.evaluation import evaluate_split
from dlrun.inference.prediction import predict_batches
from dlrun.training.initial_weights import assign_initial_weights, read_initial_weights

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset

SAMPLES = 1000  # of the test split, to predict
# What makes a layer draw, by Keras' names for it and by those of users who name things as it does.
RATES = ("rate", "stddev", "dropout", "recurrent_dropout")


@dataclass(frozen=True)
class Job:
    """What one process has to do.

    Args:
        overrides: All of them, the backend and the loop among them.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        steps: How many to train; 0 on a backend that can't.
        random: Leave layers that draw random numbers as they are.
        weights: Directory for the checkpoint that all begin with.
        first: Whether this process makes it.
        answer: The file to write the answer to; predictions lie beside it, as ``.npz``.
    """

    overrides: list[str]
    config_dir: str | None
    trusted: Sequence[str]
    steps: int
    random: bool
    weights: str
    first: bool
    answer: str


def measure(job: Job) -> dict[str, Any]:
    """Predict and evaluate with the initial weights, train, and evaluate again.

    Raises:
        DlrunError: If the config can't be had here.
    """
    began = time.perf_counter()
    config_dir = Path(job.config_dir) if job.config_dir else None
    config = compose(job.overrides, config_dir=config_dir, trusted=job.trusted)
    backend, device, data, feed = start(config)

    from dlrun.assembly.compile import compile_model
    from dlrun.assembly.loop import build_loop
    from dlrun.assembly.model import build_model

    model = build_model(config, data.spec)
    layers = list(model._flatten_layers())
    silenced, left = _silence(layers) if not job.random else ([], _random(layers))
    _share_weights(model, config, Path(job.weights), make=job.first)
    compile_model(model, config, training=bool(job.steps))

    predicted = _predict(model, config, data, Path(job.answer).with_suffix(".npz"))
    initial, final = evaluate_split(model, config, data, "test", feed), None
    losses: list[float] = []
    if job.steps:
        if "steps_per_execution" in config.loop:
            config.loop["steps_per_execution"] = 1  # the loss of each is asked for
        losses = _train(build_loop(config, feed), model, config, data, job.steps)
        final = evaluate_split(model, config, data, "test", feed)
    return {
        "version": backend.version(),
        "device": device,
        "seconds": round(time.perf_counter() - began, 4),
        **_kinds(layers),
        "silenced": silenced,
        "random": left,
        "predicted": predicted,
        "tested": len(data.test),
        "initial": initial,
        "final": final,
        "losses": losses,
    }


def _share_weights(model: Any, config: Config, directory: Path, *, make: bool) -> None:
    """Write the model's variables as the checkpoint of epoch 0, or take them from there."""
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
    """Write the predictions for the first test samples, an array for each output; how many."""
    import numpy as np

    from dlrun.data.tree import tree_map

    inputs = tree_map(lambda array: array[:SAMPLES], data.split("test").inputs)
    parts = list(predict_batches(model, config, data.spec, inputs))
    named = [part if isinstance(part, Mapping) else {"predictions": part} for part in parts]
    arrays = {name: np.concatenate([part[name] for part in named]) for name in named[0]}
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's stub takes kwargs for allow_pickle
    return min(SAMPLES, len(data.test))


def _train(loop: Any, model: Any, config: Config, data: Dataset, steps: int) -> list[float]:
    """Train for so many steps, without the config's callbacks; the loss of each."""
    from dlrun.data.batches import Batches
    from dlrun.loops.training import Training
    from dlrun.proofs.step_losses import StepLosses

    batches = Batches(data, data.train, config.batch_size, seed=config.seed)
    kept = StepLosses(steps)
    loop(
        Training(
            model=model,
            train=batches,
            validation=None,
            epochs=math.ceil(steps / len(batches)),
            seed=config.seed,
            callbacks=[kept],
            backend=backends.training_module(config.backend.name),
        )
    )
    return kept.losses


def _kinds(layers: Sequence[Any]) -> dict[str, bool]:
    """What the tolerance goes by."""
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
    """Set what makes layers draw random numbers to 0.

    Returns:
        What was set, as ``dropout.rate=0.5``, and the names of the layers that have nothing to set.
    """
    silenced, left = [], []
    for layer in (layer for layer in layers if layer._seed_generators):
        rates = {name: getattr(layer, name, None) for name in RATES}
        rates = {n: rate for n, rate in rates.items() if isinstance(rate, float | int)}
        for name, rate in rates.items():
            setattr(layer, name, 0.0)
            silenced += [f"{layer.name}.{name}={rate:g}"] if rate else []
        left += [] if rates else [layer.name]
    return silenced, left


def main() -> None:
    """Do the job that the command line holds."""
    job = Job(**json.loads(sys.argv[1]))
    answer: dict[str, Any]
    try:
        with redirect_stdout(sys.stderr):
            answer = measure(job)
    except DlrunError as error:
        answer = {"error": error.message, "hint": error.hint}
    Path(job.answer).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()

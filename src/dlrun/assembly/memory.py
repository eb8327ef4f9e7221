"""What memory a training step takes, known before a run."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from math import prod
from typing import TYPE_CHECKING, Any

import keras
import ml_dtypes  # noqa: F401 - with it, NumPy knows bfloat16
import numpy as np

from dlrun.assembly.check_inputs import match_inputs
from dlrun.assembly.compile import compile_model
from dlrun.assembly.loop import build_loop
from dlrun.assembly.weights import weigh
from dlrun.backends import training_module
from dlrun.data.batches import Batches
from dlrun.loops.epoch import build_metrics
from dlrun.loops.training import Training
from dlrun.system import process

if TYPE_CHECKING:
    from dlrun.assembly.start import Session
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset

Memory = dict[str, int | None]

# Steps of a trial. Enough is more than torch takes before it traces a step, for which it imports
# its compiler, 80 MB; the most is as many as a loop takes in one call.
FEWEST, ENOUGH, MOST = 2, 10, 32
SECONDS, SECONDS_FOR_ENOUGH = 3.0, 40.0


def memory_of_step(model: keras.Model, config: Config, session: Session) -> Memory:
    """The bytes of a training step by what they hold, and those of the whole process.

    On a CPU, the config's loop trains some steps: XLA's plan on jax lacks the workspace of
    convolutions, which is half of what they take.

    Args:
        model: A built model; it is compiled, and may be trained.
        config: Of the run.
        session: The started backend, and the data set, of which the first samples are read.

    Returns:
        ``weights``, ``optimizer`` and ``batch`` are exact. ``step`` is what the loop holds beside
        them at its peak: activations, gradients, what operations need, and the further batches of
        a call that takes several. ``total`` is their sum. ``process`` is the peak of the process,
        which ``run.json`` calls ``peak_memory_bytes``; None on other devices than a CPU. ``step``
        and ``total`` are None if the backend does not tell.
    """
    data = match_inputs(model, session.data)
    compile_model(model, config, data.spec, length=data.length)
    data = weigh(model, data, config)
    batches = Batches(data, data.train, config.batch_size)
    batch = sum(np.asarray(array).nbytes for array in keras.tree.flatten(batches[0]))
    backend, so_far = training_module(config.backend.name), process.peak_memory_bytes()
    step: int | None = None
    whole: int | None = None
    if session.device.startswith("cpu") and process.reset_peak_memory():
        trained, at_peak = _trial(_trainer(model, config, session, data))
        whole = max(so_far, trained)
        if backend.FREES_TENSORS:
            step = max(0, at_peak - batch)
    else:
        model.optimizer.build(model.trainable_variables)
        build_metrics(model, batches)
        step = backend.step_bytes(model, batches[0])
    parts = {
        "weights": _bytes_of(model.variables),
        "optimizer": _bytes_of(model.optimizer.variables),
        "batch": batch,
    }
    total = None if step is None else sum(parts.values()) + step
    return {**parts, "step": step, "total": total, "process": whole}


def _trainer(
    model: keras.Model, config: Config, session: Session, data: Dataset
) -> Callable[..., None]:
    """A function that trains an epoch of so many steps, and may validate as many."""
    loop = build_loop(config, session.feed)

    def train(steps: int, *, validates: bool = False) -> None:
        first = slice(steps * config.batch_size)
        validation = Batches(data, data.validation[first], config.batch_size)
        loop(
            Training(
                model=model,
                train=Batches(data, data.train[first], config.batch_size, seed=config.seed),
                validation=validation if validates and len(data.validation) else None,
                epochs=1,
                seed=config.seed,
                callbacks=[],
                backend=training_module(config.backend.name),
            )
        )

    return train


def _trial(train: Callable[..., None]) -> tuple[int, int]:
    """Train, first to time a step, then as a run does, and then once more.

    Returns:
        The peak of the process, and by how much steps that are compiled let it grow.
    """
    train(FEWEST)
    began = time.perf_counter()
    train(FEWEST)
    seconds = (time.perf_counter() - began) / FEWEST
    least = ENOUGH if ENOUGH * seconds < SECONDS_FOR_ENOUGH else FEWEST
    steps = min(MOST, max(least, int(SECONDS / seconds)))
    train(steps, validates=True)
    whole = process.peak_memory_bytes()
    gc.collect()
    process.trim_memory()
    process.reset_peak_memory()
    before = process.memory_bytes()
    train(steps)
    peak = process.peak_memory_bytes()
    return max(whole, peak), peak - before


def _bytes_of(variables: Iterable[Any]) -> int:
    return sum(prod(v.shape) * np.dtype(v.dtype).itemsize for v in variables)

"""What memory a training step takes, known before a run."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import keras
import numpy as np

from dlrun.assembly.check_inputs import match_inputs
from dlrun.assembly.compile import compile_model
from dlrun.assembly.weights import weigh
from dlrun.backends import training_module
from dlrun.config.schema import Config
from dlrun.data.batches import Batches
from dlrun.data.dataset import Dataset
from dlrun.loops.epoch import build_metrics

Memory = dict[str, int | None]


def memory_of_step(model: keras.Model, config: Config, data: Dataset) -> Memory:
    """The bytes of a training step by what they hold; nothing is trained.

    Args:
        model: A built model; it is compiled.
        config: Of the run.
        data: The data set, of which the first batch is read.

    Returns:
        ``weights``, ``optimizer`` and ``batch`` are exact. ``step`` is what a step holds beside
        them at its peak: activations, gradients and what operations need; None if the backend does
        not tell. ``total`` is None then too.
    """
    data = match_inputs(model, data)
    compile_model(model, config, data.spec, length=data.length)
    batches = Batches(data := weigh(model, data, config), data.train, config.batch_size)
    backend = training_module(config.backend.name)
    model.optimizer.build(model.trainable_variables)
    build_metrics(model, batches)
    memory: Memory = {
        "weights": _bytes_of(model.variables),
        "optimizer": _bytes_of(model.optimizer.variables),
        "batch": sum(np.asarray(array).nbytes for array in keras.tree.flatten(batches[0])),
        "step": backend.step_bytes(model, batches[0]),
    }
    known = [size for size in memory.values() if size is not None]
    memory["total"] = sum(known) if len(known) == len(memory) else None
    return memory


def _bytes_of(variables: Iterable[Any]) -> int:
    return sum(
        prod(v.shape) * _item_bytes(keras.backend.standardize_dtype(v.dtype)) for v in variables
    )


def _item_bytes(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize

"""Run an exported file in its own runtime: its outputs, and how long it takes.

``python -m dlrun.exports.measure JOB`` is a process that holds nothing but the runtime.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.exports import formats
from dlrun.system.arrays import write_npz
from dlrun.system.child_job import answer_job

BATCHES = (1, 7, 128)
SECONDS = 0.25  # of the measurement of a batch's latency
MOST = 200  # runs

Predict = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def measure(path: Path, samples: Mapping[str, np.ndarray], mode: str) -> tuple[Any, dict[str, Any]]:
    """Run all samples in batches of several sizes, and time each size.

    Args:
        path: The file.
        samples: As the file takes them, by input.
        mode: One of the format's ``MODES``.

    Returns:
        The outputs by name, and the milliseconds of a batch, by its size.
    """
    name = formats.format_of(path)
    assert name is not None
    module = formats.module(name)
    predict: Predict = module.open_file(path, mode)
    if not module.NEEDS_GRAPH:
        return predict(samples), {}
    count = len(next(iter(samples.values())))
    parts: list[Mapping[str, np.ndarray]] = []
    first, sizes = 0, list(BATCHES)
    while first < count:
        size = sizes.pop(0) if sizes else BATCHES[-1]
        batch = {key: array[first : first + size] for key, array in samples.items()}
        parts.append({key: np.array(value) for key, value in predict(batch).items()})
        first += size
    outputs = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return outputs, {str(size): _milliseconds(predict, samples, size) for size in BATCHES}


def _milliseconds(predict: Predict, samples: Mapping[str, np.ndarray], size: int) -> float:
    """The median time of a batch; the first runs, which warm up, are left out."""
    batch = {
        key: np.ascontiguousarray(np.resize(array, (size, *array.shape[1:])))
        for key, array in samples.items()
    }
    for _ in range(2):
        predict(batch)
    times: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(times) < 5 or (time.perf_counter() < until and len(times) < MOST):
        start = time.perf_counter()
        predict(batch)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def do(job: dict[str, Any]) -> dict[str, Any]:
    """Measure the file of a job."""
    with np.load(job["samples"], allow_pickle=False) as arrays:
        samples = dict(arrays)
    outputs, milliseconds = measure(Path(job["path"]), samples, job["mode"])
    with Path(job["outputs"]).open("wb") as file:
        write_npz(file, outputs)
    return {"milliseconds": milliseconds}


if __name__ == "__main__":
    answer_job(do)

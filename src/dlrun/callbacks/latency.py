"""Measure how long a prediction takes, once training has ended."""

from __future__ import annotations

import statistics
import time
from typing import Any

from dlrun.callbacks.protocol import RunCallback
from dlrun.data.batches import Batches

CALLS = 50  # of predictions, at most


class Latency(RunCallback):
    """Records ``seconds.predict`` of a run: the median time of a prediction on its device.

    Compilation is left out. It is the time in this process, as other processes leave it.

    Args:
        samples: Of a prediction.
        seconds: To measure for, at most, beside the compilation.
    """

    async_safe = True

    def __init__(self, samples: int = 1, seconds: float = 0.25) -> None:
        super().__init__()
        self._samples, self._limit = samples, seconds
        self._data: Any = None
        self._median: float | None = None

    def set_run(self, *, data: Any, written_by: Any, callbacks: Any, backend: Any) -> None:
        """Take the data set, for the samples."""
        self._data = data

    def on_train_end(self, logs: Any = None) -> None:
        """Measure."""
        inputs = Batches(self._data, self._data.train, self._samples)[0][0]
        self._median = median_seconds(self.model, inputs, self._limit)

    def get_seconds(self) -> dict[str, float]:
        """The median."""
        return {} if self._median is None else {"predict": self._median}


def median_seconds(model: Any, inputs: Any, limit: float) -> float:
    """The median of some predictions, after two that compile.

    Args:
        model: A compiled model.
        inputs: One batch.
        limit: Seconds to measure for, at most.
    """
    for _ in range(2):
        model.predict_on_batch(inputs)
    seconds: list[float] = []
    while len(seconds) < CALLS and sum(seconds) < limit:
        began = time.perf_counter()
        model.predict_on_batch(inputs)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)

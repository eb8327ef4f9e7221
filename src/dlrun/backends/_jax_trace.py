"""Traces by jax' profiler."""

from __future__ import annotations

import gzip
import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax


class JaxTracer:
    """See :class:`dlrun.backends.Tracer`.

    Below Python 3.12 it records no calls of Python functions: their recorder was reported to end
    the process there (keras-team/keras#20450).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def start(self) -> None:
        """See :class:`dlrun.backends.Tracer`."""
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = int(sys.version_info >= (3, 12))
        jax.profiler.start_trace(self._directory, profiler_options=options)

    def step(self, number: int) -> AbstractContextManager[Any]:
        """See :class:`dlrun.backends.Tracer`."""
        named: AbstractContextManager[Any] = jax.profiler.StepTraceAnnotation(
            "train", step_num=number
        )
        return named

    def stop(self, file: Path) -> None:
        """See :class:`dlrun.backends.Tracer`."""
        jax.profiler.stop_trace()
        written = self._directory.glob("plugins/profile/*/*.trace.json.gz")
        newest = max(written, key=lambda path: path.stat().st_mtime)
        with gzip.open(newest) as source:
            trace = json.load(source)
        trace.pop("metadata", None)  # which Perfetto refuses
        with gzip.open(file, "wt", encoding="utf-8") as target:
            json.dump(trace, target)

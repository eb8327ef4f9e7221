"""Traces by torch's profiler."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch


class TorchTracer:
    """See :class:`dlrun.backends.Tracer`."""

    def __init__(self, directory: Path) -> None:
        activities = [torch.profiler.ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._profiler = torch.profiler.profile(activities=activities, acc_events=True)

    def start(self) -> None:
        """See :class:`dlrun.backends.Tracer`."""
        self._profiler.start()

    def step(self, number: int) -> AbstractContextManager[Any]:
        """See :class:`dlrun.backends.Tracer`."""
        # The name that torch's own viewer looks for.
        marked: AbstractContextManager[Any] = torch.profiler.record_function(
            f"ProfilerStep#{number}"
        )
        return marked

    def stop(self, file: Path) -> None:
        """See :class:`dlrun.backends.Tracer`."""
        self._profiler.stop()
        self._profiler.export_chrome_trace(str(file))

"""The memory of a training step on torch, as its allocator tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def peak_bytes(function: Callable[[], Any]) -> int:
    """The most bytes that a function holds at a time, beside what there was before it."""
    if torch.cuda.is_available() and torch.get_default_device().type != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return int(torch.cuda.max_memory_allocated() - before)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profiled:
        function()
    # profiled.events() adds the changes up by operation, which leaves no peak.
    events = profiled.profiler.kineto_results.events()
    changes = [event for event in events if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(changes, key=lambda event: int(event.start_ns())):
        now += event.nbytes()
        peak = max(peak, now)
    return int(peak)

"""Weights too large for one device, each in parts on several."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlrun.errors import shorten

KEYS: Sequence[str] = ("layout", "replicas")


def copies(devices: int, replicas: int) -> int:
    """See :class:`dlrun.distribution.Strategy`: each on several devices."""
    return replicas


def problems(options: Mapping[str, Any], devices: int) -> Iterator[tuple[str, str]]:
    """See :class:`dlrun.distribution.Strategy`."""
    replicas, layout = options["replicas"], options["layout"]
    if replicas < 1 or devices % replicas:
        yield "replicas", f"must divide device.count={devices}, got {replicas}"
    elif replicas == devices > 1:
        text = f"puts a whole copy of the model on each of device.count={devices} devices"
        yield "replicas", f"{text}: expected fewer, or distribution=data_parallel"
    if layout in (None, "auto"):
        return
    if not isinstance(layout, Mapping) or not layout:
        yield "layout", f"expected auto, or axes by pattern, got {shorten(repr(layout))}"
        return
    for pattern, axes in layout.items():
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            yield "layout", f"{shorten(repr(pattern))} is no regular expression: {error}"
        named = [axis for axis in axes if axis is not None] if isinstance(axes, list) else [axes]
        if set(named) != {"model"} or len(named) > 1:
            text = f"of {pattern!r} expected a list such as [null,model], got {shorten(repr(axes))}"
            yield "layout", text

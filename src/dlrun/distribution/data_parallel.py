"""A copy of the model on each device, each with its part of every batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KEYS: Sequence[str] = ()


def copies(devices: int, replicas: int) -> int:
    """See :class:`dlrun.distribution.Strategy`: one on each device."""
    return devices


def problems(options: Mapping[str, Any], devices: int) -> Iterator[tuple[str, str]]:
    """See :class:`dlrun.distribution.Strategy`: there are no keys of its own."""
    yield from ()

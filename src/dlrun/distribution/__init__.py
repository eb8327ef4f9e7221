"""Strategies: the ways to spread a run over several devices, one file each.

A strategy says what a config may ask of it. How a backend does it is in a module of the backend's
own; a backend names the strategies that it has in ``DISTRIBUTES``.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

NONE = "none"


class Strategy(Protocol):
    """The interface of every strategy's module.

    ``KEYS`` are the keys of ``distribution`` that it alone takes.
    """

    KEYS: Sequence[str]

    def copies(self, devices: int, replicas: int) -> int:
        """How many copies of the model share a batch, each with samples of its own.

        Args:
            devices: How many devices there are.
            replicas: The config's ``distribution.replicas``.
        """

    def problems(self, options: Mapping[str, Any], devices: int) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with its own keys: the key, and what is wrong.

        Args:
            options: The keys of ``distribution``.
            devices: How many devices there are.
        """


@cache
def names() -> tuple[str, ...]:
    """The names of all strategies, which are their file names; ``none`` is one device."""
    files = Path(__file__).parent.glob("*.py")
    return (NONE, *sorted(file.stem for file in files if not file.stem.startswith("_")))


def strategy(name: str) -> Strategy:
    """The module of a strategy, one of :func:`names` but ``none``."""
    imported: Any = importlib.import_module(f"{__name__}.{name}")
    found: Strategy = imported
    return found

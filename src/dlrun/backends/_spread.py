"""How a run is spread over devices, and the protocol of the modules that do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol


class Spread(NamedTuple):
    """How a run is spread over several devices.

    Args:
        kind: The strategy, such as ``data_parallel``; see :mod:`dlrun.distribution`.
        devices: Their number.
        layout: For ``model_parallel``, the axes of variables by a pattern of their paths; None for
            the largest axis that divides.
        replicas: Copies of the model, each with its part of a batch.
        timeout: Seconds that a process waits for an answer of another one.
    """

    kind: str
    devices: int
    layout: Mapping[str, list[str | None]] | None = None
    replicas: int = 1
    timeout: float = 50.0


class Distribution(Protocol):
    """What differs between the backends that spread a run over devices, one module each.

    ``PROCESSES`` is whether each device has a process of its own, whatever starts the run.
    ``LAUNCHES`` are the kinds whose processes ``dlrun launch`` may start, ``ONE_PROCESS`` why the
    others have one process. ``BY_COMPILER`` is whether the framework divides whatever is computed;
    else dlrun calls the model in parts, in training alone. ``COMPILES`` are the values of
    ``loop.compile`` that a run on several devices may have; None for all.
    """

    PROCESSES: bool
    LAUNCHES: Sequence[str]
    ONE_PROCESS: str
    BY_COMPILER: bool
    COMPILES: Sequence[str] | None

    def environment(self, spread: Spread) -> Mapping[str, str]:
        """As :meth:`dlrun.backends.Backend.environment`, for a run on several devices."""

    def meet(self, spread: Spread) -> None:
        """Meet the other processes, if a framework has to before it looks for devices."""

    def available(self, kind: str, spread: Spread) -> list[str]:
        """The devices of a kind that this process has, or can have; called after the import."""

    def spread_over(self, spread: Spread, devices: Sequence[str]) -> None:
        """Compute on these devices from now on; called after Keras is imported."""

    def check_model(self, model: Any) -> None:
        """Check that a model can be spread as the process is.

        Raises:
            DlrunError: If it can't.
        """

    def together(self, model: Any) -> AbstractContextManager[list[Any]]:
        """Train a compiled model together with the other processes, if there are any.

        Returns:
            A context with the callbacks that this takes, which come last.

        Raises:
            DlrunError: If one of the other processes ends.
        """

    def own_samples(self, size: int) -> slice:
        """Which samples of a batch of this size this process computes; all where it has to."""

    def agree(self, number: int) -> int:
        """What the first of the processes gives, in all of them; within :meth:`together`."""

    def memory_of(self, model: Any) -> list[dict[str, Any]]:
        """By variable: path, shape, layout, bytes, and bytes on one device."""

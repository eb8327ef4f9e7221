"""What came of a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class RunResult:
    """The result of a training run, as ``dlrun train --json`` prints it and ``run.json`` keeps it.

    Args:
        run_dir: The run's directory.
        status: ``completed``.
        backend: The backend that trained it last.
        model: The option of the group ``model``.
        loop: The option of the group ``loop``.
        epochs: How many were trained.
        best_epoch: The epoch whose weights were evaluated, from 1.
        stopped_by: ``epochs``, or the name of the callback that ended it sooner.
        parameters: How many the model has.
        train: Metrics that the best epoch logged, by name.
        validation: The same of the validation split; empty without one.
        test: Metrics on the test split, measured with the best epoch's weights.
        seconds: Of the phases ``startup``, ``first_step``, ``train``, ``evaluate`` and ``total``.
        examples_per_second: At the steady rate.
        step_seconds: Of one step at that rate.
        peak_memory_bytes: The most memory that the process held.
    """

    run_dir: str
    status: str
    backend: str
    model: str | None
    loop: str | None
    epochs: int
    best_epoch: int
    stopped_by: str
    parameters: int
    train: dict[str, float]
    validation: dict[str, float]
    test: dict[str, float]
    seconds: dict[str, float]
    examples_per_second: float
    step_seconds: float
    peak_memory_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)


FIELDS = tuple(field.name for field in fields(RunResult))

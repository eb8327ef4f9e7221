"""The result of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class RunResult:
    """The result of a training run, as in ``dlrun train --json`` and ``run.json``.

    Args:
        run_dir: The run's directory.
        status: ``completed``.
        backend: The backend that trained it last.
        model: The option of the group ``model``.
        loop: The option of the group ``loop``.
        epochs: The number of trained epochs.
        best_epoch: The epoch whose weights were evaluated, from 1.
        stopped_by: ``epochs`` or ``max_steps``, or the name of the callback that stopped training
            early.
        parameters: The model's number of parameters.
        train: The best epoch's training metrics, by name.
        validation: The best epoch's validation metrics; empty without a validation split.
        test: Metrics of the test split with the best epoch's weights.
        seconds: Seconds by phase: ``startup``, ``first_step``, ``train``, ``evaluate``, ``total``;
            ``predict``, a prediction, with ``+callbacks=latency``.
        examples_per_second: The steady training rate.
        step_seconds: The time of one step at the steady rate.
        peak_memory_bytes: The process's peak memory.
        steps: The number of training steps; None in the record of an older run.
        device_memory_bytes: The most that the run's arrays have taken on the GPU or TPU; None on a
            CPU, where the framework does not tell, and in the record of an older run.
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
    steps: int | None = None
    device_memory_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], run_dir: str) -> RunResult:
        """The result in a ``run.json``, which may be copied from an untrusted source.

        Args:
            record: Of a completed run.
            run_dir: Where the run is now.

        Raises:
            ValueError: If a field is missing, or is not of its type.
        """
        values: dict[str, Any] = {name: record.get(name) for name in FIELDS}
        values["run_dir"] = run_dir
        for name, value in values.items():
            if not _fits(name, value):
                raise ValueError(f"{name} is {value!a:.80}")
        for name in _METRICS:  # JSON has no NaN
            values[name] = {k: math.nan if v is None else v for k, v in values[name].items()}
        return cls(**values)


LENGTHS = ("epochs", "max_steps")  # what ``stopped_by`` is if no callback stopped training
FIELDS = tuple(field.name for field in fields(RunResult))
_METRICS = ("train", "validation", "test")
_OPTIONAL = ("steps", "device_memory_bytes")
_TEXTS = ("run_dir", "status", "backend", "model", "loop", "stopped_by")


def _fits(name: str, value: Any) -> bool:
    if name in (*_METRICS, "seconds"):
        allowed = (int, float, type(None)) if name in _METRICS else (int, float)
        return isinstance(value, dict) and all(
            str(key).isprintable() and isinstance(number, allowed) for key, number in value.items()
        )
    if name in _TEXTS:
        return (isinstance(value, str) and value.isprintable()) or (
            value is None and name in ("model", "loop")
        )
    return isinstance(value, int | float) or (value is None and name in _OPTIONAL)

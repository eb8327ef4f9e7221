"""``dlrun evaluate``: the metrics of a run's model, on any backend."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.config.explain import nearest
from dlrun.config.outputs import by_output, logged
from dlrun.config.schema import Task
from dlrun.errors import DlrunError
from dlrun.inference.evaluation import evaluate_split
from dlrun.inference.loaded_run import load_run, open_run
from dlrun.runs.metric_direction import direction

UNDER, OVER = "--fail-under", "--fail-over"


@dataclass(frozen=True)
class _Gate:
    """A limit that a metric must keep to; one that is no number keeps to none."""

    option: str
    metric: str
    limit: float

    def failure(self, value: float) -> str | None:
        """Why a value does not pass; None if it does."""
        passes = value >= self.limit if self.option == UNDER else value <= self.limit
        if passes:
            return None
        if math.isnan(value):
            return f"{self.metric} is no number"
        side = self.option.removeprefix("--fail-")
        return f"{self.metric} {value:.6g} is {side} {self.limit:g}"


def evaluate(
    run: str,
    overrides: Sequence[str] = (),
    *,
    which: str = "best",
    split: str = "test",
    fail_under: Sequence[str] = (),
    fail_over: Sequence[str] = (),
    runs_dir: Path = Path("runs"),
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Evaluate one checkpoint of a run.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config: backend, device, data, batch size, metrics.
        which: ``best``, ``last`` or the number of an epoch.
        split: ``train``, ``validation`` or ``test``.
        fail_under: Gates, each ``metric=value``, for metrics of which larger is better.
        fail_over: The same for those of which smaller is better, as losses are.
        runs_dir: Where ``latest`` looks.
        config_dir: The user's own options.
        trusted: Modules that the run may name besides those that the user's options name.

    Returns:
        The result, as ``dlrun evaluate --json`` prints it, and why gates did not hold.

    Raises:
        DlrunError: If the run, an override, a gate or the checkpoint is unusable.
    """
    opened, config = open_run(
        run, overrides, runs_dir=runs_dir, config_dir=config_dir, trusted=trusted
    )
    better = _directions(config.task)
    gates = [_gate(UNDER, typed, better) for typed in fail_under]
    gates += [_gate(OVER, typed, better) for typed in fail_over]
    loaded = load_run(opened, config, which, compiled=True)
    metrics = evaluate_split(loaded.model, config, loaded.data, split, loaded.feed)
    result = {
        "run_dir": str(opened.path),
        "checkpoint": which,
        "epoch": loaded.epoch,
        "backend": config.backend.name,
        "split": split,
        "samples": len(loaded.data.split(split)),
        "metrics": metrics,
    }
    return result, [why for gate in gates if (why := gate.failure(metrics[gate.metric]))]


def _directions(task: Task) -> dict[str, str | None]:
    """For each metric ``min`` or ``max``, or None where nothing tells."""
    specs = logged(task)
    prefixes = tuple(f"{output}_" for output in by_output(task) or ())
    directions = {}
    for name, spec in specs.items():
        # An output may be called "errors", which tells nothing of its accuracy.
        prefix = max((p for p in prefixes if name.startswith(p)), key=len, default="")
        own = name.removeprefix(prefix)
        directions[name] = direction(own, {own: spec})
    return directions


def _gate(option: str, typed: str, better: Mapping[str, str | None]) -> _Gate:
    """A gate as typed.

    Args:
        option: Which of the two.
        typed: What follows it.
        better: Of each metric, as :func:`_directions` tells it.

    Raises:
        DlrunError: If it is none, or is on the side where values are better.
    """
    name, _, value = typed.partition("=")
    example = "accuracy=0.97" if option == UNDER else "loss=0.3"
    try:
        limit = float(value)
    except ValueError as error:
        raise DlrunError(
            f"{option} {typed}: expected metric=number", hint=f"{option} {example}"
        ) from error
    if math.isnan(limit):
        raise DlrunError(
            f"{option} {typed}: nothing is {option.removeprefix('--fail-')} nan",
            hint=f"{option} {example}",
        )
    if name not in better:
        near = nearest(name, list(better))
        raise DlrunError(
            f"{option} {typed}: no metric '{name}'; there are {', '.join(better)}",
            hint=f"did you mean {option} {near}={value}?" if near else None,
        )
    if better[name] == ("min" if option == UNDER else "max"):
        size, other = ("smaller", OVER) if option == UNDER else ("larger", UNDER)
        raise DlrunError(
            f"{option} {typed}: of {name} {size} values are better, and they would fail",
            hint=f"{other} {typed}",
        )
    return _Gate(option, name, limit)

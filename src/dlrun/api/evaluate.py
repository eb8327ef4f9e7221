"""``dlrun evaluate``: the metrics of a run's model on any backend."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.config.explain import nearest
from dlrun.config.outputs import logged_metrics, outputs_by_name
from dlrun.config.schema import Task
from dlrun.errors import DlrunError
from dlrun.inference.evaluation import evaluate_split
from dlrun.inference.loaded_run import load_run, open_run
from dlrun.inference.own_data import read_own_data
from dlrun.runs.logged_names import metric_of
from dlrun.runs.metric_direction import direction

UNDER, OVER = "--fail-under", "--fail-over"


@dataclass(frozen=True)
class _Gate:
    """A limit on a metric. A metric that is not a finite number fails."""

    option: str
    metric: str
    limit: float

    def failure(self, value: float) -> str | None:
        """Why a value fails; None if it passes."""
        if not math.isfinite(value):
            return f"{self.metric} is {value}, not a finite number"
        passes = value >= self.limit if self.option == UNDER else value <= self.limit
        if passes:
            return None
        side = self.option.removeprefix("--fail-")
        return f"{self.metric} {value:.6g} is {side} {self.limit:g}"


def evaluate(
    run: str,
    overrides: Sequence[str] = (),
    *,
    which: str = "best",
    split: str = "test",
    data: Path | None = None,
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
        data: A table with the run's columns and targets, of which all rows are evaluated; the
            training data are not read.
        fail_under: Lower limits, each ``metric=value``, of metrics where larger is better.
        fail_over: Upper limits of metrics where smaller is better, such as losses.
        runs_dir: Where to look for ``latest``.
        config_dir: The user's own options.
        trusted: Modules that the run may name, beside those that the user's options name.

    Returns:
        The result, as ``dlrun evaluate --json`` prints it, and a message per failed limit.

    Raises:
        DlrunError: If the run, an override, a limit or the checkpoint is unusable.
    """
    opened, config = open_run(
        run,
        overrides,
        runs_dir=runs_dir,
        config_dir=config_dir,
        trusted=trusted,
        needs_data=data is None,
    )
    better = _directions(config.task)
    gates = [_gate(UNDER, typed, better) for typed in fail_under]
    gates += [_gate(OVER, typed, better) for typed in fail_over]
    own = None if data is None else read_own_data(data, opened, overrides, config)
    loaded = load_run(opened, config, which, compiled=True, spec=own.dataset.spec if own else None)
    dataset = own.dataset.match(loaded.model) if own else loaded.data
    for gate in gates:
        _require_logged(gate, metric_of(gate.metric, better), loaded.logged)
    metrics = evaluate_split(loaded.model, config, dataset, split, loaded.feed)
    result = {
        "run_dir": str(opened.path),
        "checkpoint": which,
        "epoch": loaded.epoch,
        "backend": loaded.computed_by,
        "split": str(data) if data else split,
        "samples": len(dataset.split(split)),
        "metrics": metrics,
    }
    if own:
        result["notes"] = own.notes
    return result, [why for gate in gates if (why := gate.failure(metrics[gate.metric]))]


def _directions(task: Task) -> dict[str, str | None]:
    """Each metric's better direction, ``min`` or ``max``; None if unknown."""
    specs = logged_metrics(task)
    prefixes = tuple(f"{output}_" for output in outputs_by_name(task) or ())
    directions = {}
    for name, spec in specs.items():
        # An output may be called "errors", which says nothing about the direction of its accuracy.
        prefix = max((p for p in prefixes if name.startswith(p)), key=len, default="")
        metric = name.removeprefix(prefix)
        directions[name] = direction(metric, {metric: spec})
    return directions


def _require_logged(gate: _Gate, metric: str, logged: Sequence[str]) -> None:
    """Refuse a gate on a metric that has several values, or not this one."""
    if gate.metric in logged:
        return
    last = [name for name in logged if metric_of(name, [metric]) == metric][-1]
    raise DlrunError(
        f"{gate.option} {gate.metric}={gate.limit:g}: nothing is called {gate.metric}; the last"
        f" value of {metric} is {last}",
        hint=f"{gate.option} {last}={gate.limit:g}",
    )


def _gate(option: str, typed: str, better: Mapping[str, str | None]) -> _Gate:
    """Parse a gate.

    Args:
        option: ``--fail-under`` or ``--fail-over``.
        typed: The option's value.
        better: From :func:`_directions`.

    Raises:
        DlrunError: If the value is malformed, or would fail the better values.
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
    metric = metric_of(name, better)
    if metric not in better:
        near = nearest(name, list(better))
        raise DlrunError(
            f"{option} {typed}: no metric '{name}'; there are {', '.join(better)}",
            hint=f"did you mean {option} {near}={value}?" if near else None,
        )
    if better[metric] == ("min" if option == UNDER else "max"):
        size, other = ("smaller", OVER) if option == UNDER else ("larger", UNDER)
        raise DlrunError(
            f"{option} {typed}: {size} values of {name} are better, and would fail",
            hint=f"{other} {typed}",
        )
    return _Gate(option, name, limit)

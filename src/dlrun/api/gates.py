"""Limits on the figures of an evaluation: ``accuracy=0.97``, ``recall[cat]=0.9``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlrun.config.outputs import logged_metrics, outputs_by_name
from dlrun.config.schema import Task
from dlrun.errors import DlrunError, nearest
from dlrun.runs.logged_names import metric_of
from dlrun.runs.metric_direction import direction

if TYPE_CHECKING:
    from dlrun.inference.job import Evaluation

UNDER, OVER = "--fail-under", "--fail-over"
# Figures over all classes or numbers, and those of each.
FIGURES = (
    *("accuracy", "balanced_accuracy", "matthews_corrcoef", "hamming_loss", "log_loss"),
    *(f"{name}_{mean}" for name in ("precision", "recall", "f1") for mean in ("macro", "weighted")),
    *("f1_micro", "brier_score", "roc_auc", "roc_auc_macro"),
    *("average_precision", "average_precision_macro"),
    *("r2", "mean_absolute_error", "root_mean_squared_error", "mean_error"),
)
OF_EACH = ("precision", "recall", "f1", "support")
OF_EACH_NUMBER = ("r2", "mean_absolute_error", "root_mean_squared_error", "mean_error")
SHORT = {"mae": "mean_absolute_error", "rmse": "root_mean_squared_error", "acc": "accuracy"}
_OF_ONE = re.compile(r"(.+?)\[(.*)\]", re.DOTALL)


@dataclass(frozen=True)
class Gate:
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


def directions(task: Task) -> dict[str, str | None]:
    """Each metric's better direction, ``min`` or ``max``; None if unknown."""
    specs = logged_metrics(task)
    prefixes = tuple(f"{output}_" for output in outputs_by_name(task) or ())
    found = {}
    for name, spec in specs.items():
        # An output may be called "errors", which says nothing about the direction of its accuracy.
        prefix = max((p for p in prefixes if name.startswith(p)), key=len, default="")
        metric = name.removeprefix(prefix)
        found[name] = direction(metric, {metric: spec})
    return found


def parse_gate(
    option: str,
    typed: str,
    better: Mapping[str, str | None],
    outputs: Sequence[str] = ("",),
    *,
    part: str = "",
    figures: bool = True,
) -> Gate:
    """Parse a limit.

    Args:
        option: ``--fail-under`` or ``--fail-over``.
        typed: The option's value.
        better: From :func:`directions`.
        outputs: The names of the outputs, ``""`` for a single one.
        part: What was typed before the value, such as ``worst.``.
        figures: Whether the figures of an evaluation may be offered, beside the metrics.

    Raises:
        DlrunError: If the value is malformed, or would fail the better values.
    """
    name, _, value = typed.rpartition("=")
    example = f"{option} {part}{'accuracy=0.97' if option == UNDER else 'loss=0.3'}"
    start = f"{option} {part}{typed}"
    try:
        limit = float(value)
    except ValueError as error:
        raise DlrunError(f"{start}: expected metric=number", hint=example) from error
    if not name:
        raise DlrunError(f"{start}: expected metric=number", hint=example)
    if math.isnan(limit):
        raise DlrunError(f"{start}: nothing is {option.removeprefix('--fail-')} nan", hint=example)
    metric = metric_of(name, better)
    way = better[metric] if metric in better else _direction_of_figure(name, outputs)
    if metric not in better and way == "unknown":
        names = [*better, *(_figures(outputs) if figures else ())]
        near = nearest(name, list(better)) or nearest(name, names)
        if near is None and not outputs[0] and SHORT.get(name) in names:
            near = SHORT[name]
        prefix = outputs[0] and f"{outputs[0]}_"
        others = (
            f", figures such as {prefix}f1_macro or {prefix}r2, and those of one class or number,"
            f" such as {prefix}recall[CLASS] or {prefix}r2[NUMBER]"
        )
        raise DlrunError(
            f"{start}: no metric '{name}'; there are {', '.join(better)}"
            + (others if figures else ""),
            hint=f"did you mean {option} {part}{near}={value}?" if near else None,
        )
    if way == ("min" if option == UNDER else "max"):
        size, other = ("smaller", OVER) if option == UNDER else ("larger", UNDER)
        raise DlrunError(
            f"{start}: {size} values of {name} are better, and would fail",
            hint=f"{other} {part}{typed}",
        )
    return Gate(option, name, limit)


def _figures(outputs: Sequence[str]) -> list[str]:
    return [f"{output}_{name}" if output else name for output in outputs for name in FIGURES]


def _direction_of_figure(name: str, outputs: Sequence[str]) -> str | None:
    """The better direction of a figure; ``unknown`` if there is none of this name."""
    for output in outputs:
        figure = name.removeprefix(f"{output}_") if output else name
        if output and figure == name:
            continue
        of_one = _OF_ONE.fullmatch(figure)
        known = {*OF_EACH, *OF_EACH_NUMBER} if of_one else FIGURES
        base = of_one[1] if of_one else figure
        if base in known:
            return "max" if base == "support" else direction(base, {})
    return "unknown"


def value_of(gate: Gate, evaluated: Evaluation, better: Mapping[str, str | None]) -> float:
    """The value that a limit is on.

    Raises:
        DlrunError: If the evaluation has none of this name.
    """
    metrics: Mapping[str, Any] = evaluated.result["metrics"]
    if gate.metric in metrics:
        return float(metrics[gate.metric])
    start = f"{gate.option} {gate.metric}={gate.limit:g}"
    metric = metric_of(gate.metric, better)
    if metric in better:  # it has several values, or not this one
        last = [name for name in metrics if metric_of(name, [metric]) == metric][-1]
        raise DlrunError(
            f"{start}: nothing is called {gate.metric}; the last value of {metric} is {last}",
            hint=f"{gate.option} {last}={gate.limit:g}",
        )
    for output, figures in evaluated.figures.items():
        prefix = f"{output}_" if output else ""
        name = gate.metric.removeprefix(prefix)
        if not gate.metric.startswith(prefix):
            continue
        if name in figures.summary:
            return figures.summary[name]
        table = figures.tables.get("per_class") or figures.tables.get("per_target")
        of_one = _OF_ONE.fullmatch(name)
        if of_one and table and of_one[1] in table.header:
            rows = {str(row[0]): row for row in table.rows}
            require_name(gate, of_one[2], list(rows))
            return float(rows[of_one[2]][list(table.header).index(of_one[1])])
    raise DlrunError(f"{start}: this evaluation has no {gate.metric}")


def check_names(gate: Gate, names: Mapping[str, Sequence[str]]) -> None:
    """Refuse a limit on a class that there is not, before the evaluation.

    Args:
        gate: The limit.
        names: The classes, or the numbers, of each output, as far as they are known.

    Raises:
        DlrunError: If there is none of this name.
    """
    for output, of_output in names.items():
        prefix = f"{output}_" if output else ""
        if not gate.metric.startswith(prefix):
            continue
        if of_one := _OF_ONE.fullmatch(gate.metric.removeprefix(prefix)):
            require_name(gate, of_one[2], of_output)


def require_name(gate: Gate, wanted: str, names: Sequence[str]) -> None:
    """Check that a class or a number is there.

    Raises:
        DlrunError: If it is not.
    """
    if wanted in names:
        return
    near = nearest(wanted, list(names))
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    typed = gate.metric.replace(f"[{wanted}]", f"[{near}]")
    raise DlrunError(
        f"{gate.option} {gate.metric}={gate.limit:g}: there is no '{wanted}'; there are {listed}",
        hint=f"did you mean {gate.option} '{typed}={gate.limit:g}'?" if near else None,
    )

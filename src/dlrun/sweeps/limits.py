"""Limits on the result of a sweep: ``--fail-under accuracy=0.97``, ``worst.accuracy=0.95``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dlrun.api.gates import OVER, UNDER, Gate, parse_gate
from dlrun.errors import DlrunError

OF = ("mean", "worst")


@dataclass(frozen=True)
class Limit:
    """A limit on a test metric of the best setting.

    Args:
        of: ``mean`` or ``worst``, over the repeats of the setting.
        name: The metric.
        gate: The limit, with the metric as typed.
    """

    of: str
    name: str
    gate: Gate


def parse_limits(
    under: Sequence[str], over: Sequence[str], better: Mapping[str, str | None]
) -> list[Limit]:
    """Parse limits, before anything is trained.

    Args:
        under: The values of ``--fail-under``.
        over: The values of ``--fail-over``.
        better: From :func:`dlrun.api.gates.directions`.

    Raises:
        DlrunError: If one is malformed, names no metric, or would fail the better values.
    """
    limits = []
    for option, typed in [*((UNDER, each) for each in under), *((OVER, each) for each in over)]:
        of, dot, rest = typed.partition(".")
        has_part = bool(dot) and of in OF
        part, limit = (f"{of}.", rest) if has_part else ("", typed)
        gate = parse_gate(option, limit, better, part=part, figures=False)
        if gate.metric not in better:
            raise DlrunError(
                f"{option} {typed}: a sweep has {', '.join(better)}, and of each the mean and the"
                " worst",
                hint=f"dlrun evaluate RUN {option} {limit}",
            )
        shown = replace(gate, metric=f"{part}{gate.metric}")
        limits.append(Limit(of if has_part else OF[0], gate.metric, shown))
    return limits


def missed_limits(limits: Sequence[Limit], result: Mapping[str, Any]) -> list[str]:
    """What the best setting of a sweep misses; of a sweep without repeats, its best run.

    Args:
        limits: From :func:`parse_limits`.
        result: As ``dlrun sweep --json`` prints it.
    """
    failures = []
    for limit in limits:
        if (value := _value(limit, result)) is None:
            failures.append(f"{limit.gate.metric} has no value: {limit.gate.option} can't hold")
        elif failure := limit.gate.failure(value):
            failures.append(failure)
    return failures


def _value(limit: Limit, result: Mapping[str, Any]) -> float | None:
    if repeats := result.get("repeats"):
        moments = repeats[0]["test"].get(limit.name)
        return moments[limit.of] if moments else None
    best = result["best"]
    value = best["test"].get(limit.name) if best else None
    return None if value is None else float(value)

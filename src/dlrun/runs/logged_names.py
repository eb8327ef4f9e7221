"""The names of logged values. A metric with several values is logged as NAME_0, NAME_1, ..."""

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any

NUMBERED = re.compile(r"(.+)_(\d+)")


def metric_of(name: str, metrics: Container[str]) -> str:
    """The metric of a value: that of ``f1_per_class_3`` is ``f1_per_class``, if there is one."""
    numbered = None if name in metrics else NUMBERED.fullmatch(name)
    return numbered[1] if numbered and numbered[1] in metrics else name


def in_order(names: Iterable[str], metrics: Sequence[str]) -> list[str]:
    """Names in the order of their metrics, then of their numbers; others last."""
    places = {name: place for place, name in enumerate(metrics)}

    def key(name: str) -> tuple[int, int]:
        metric = metric_of(name, places)
        number = 0 if metric == name else int(name.removeprefix(f"{metric}_"))
        return places.get(metric, len(places)), number

    return sorted(names, key=key)


def for_people(values: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The values by metric; of one with several, maybe a thousand, the least and the most."""
    return {
        metric: (values[names[0]],)
        if len(names) == 1
        else (min(values[name] for name in names), max(values[name] for name in names))
        for metric, names in by_metric(values).items()
    }


def by_metric(names: Collection[str]) -> dict[str, list[str]]:
    """The names by metric, as far as they tell: ``NAME_1`` is one of several beside ``NAME_0``."""
    metrics: dict[str, list[str]] = {}
    for name in names:
        numbered = NUMBERED.fullmatch(name)
        several = numbered and numbered[1] not in names and f"{numbered[1]}_0" in names
        metrics.setdefault(numbered[1] if numbered and several else name, []).append(name)
    return metrics

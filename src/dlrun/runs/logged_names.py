"""The names of logged values. A metric with several values is logged as NAME_0, NAME_1, ..."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

NUMBERED = re.compile(r"(.+)_(\d+)")


def metric_of(name: str, metrics: Container[str]) -> str:
    """The metric that a value belongs to: ``f1_class_3`` to ``f1_class``, if there is one."""
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
    metrics: dict[str, list[Any]] = {}
    for name, value in values.items():
        numbered = NUMBERED.fullmatch(name)
        several = numbered and numbered[1] not in values and f"{numbered[1]}_0" in values
        metrics.setdefault(numbered[1] if numbered and several else name, []).append(value)
    return {
        name: tuple(of_name) if len(of_name) == 1 else (min(of_name), max(of_name))
        for name, of_name in metrics.items()
    }

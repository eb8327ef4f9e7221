"""The descent of runs, as a tree of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlrun.errors import counted
from dlrun.report.cells import figure, plain
from dlrun.report.tables import brief
from dlrun.runs.descent import FROM, SWEEP, WEIGHTS, Node
from dlrun.runs.query import number, value_of
from dlrun.runs.resumed import resumed_with
from dlrun.system.override_text import split_override

MOST_OF_SWEEP = 3  # runs of a sweep that have no children
MOST_OVERRIDES = 4
MARKS = {FROM: "", WEIGHTS: "weights of it  ", SWEEP: ""}


def tree_lines(roots: Sequence[Node]) -> str:
    """A line for each run, indented below the run that it descends from.

    Args:
        roots: From :func:`dlrun.runs.descent.trees`.
    """
    lines: list[str] = []
    for root in roots:
        lines += _lines(root, "", "", {})
    return "\n".join(lines) or "no runs"


def _lines(node: Node, first: str, rest: str, above: Mapping[str, Any]) -> Iterator[str]:
    yield first + _line(node, above)
    children = _shown_children(node)
    hidden = len(node.children) - len(children)
    for number_, child in enumerate(children):
        last = number_ == len(children) - 1 and not hidden
        head, indent = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _lines(child, rest + head, rest + indent, _settings(node))
    if hidden:
        yield f"{rest}└─ and {counted(hidden, 'more run')}"


def _shown_children(node: Node) -> list[Node]:
    """The children; of a sweep those with children of their own, and the first others."""
    if node.record is not None:
        return node.children
    alone = [child for child in node.children if not child.children]
    kept = alone if len(alone) <= MOST_OF_SWEEP + 1 else alone[:MOST_OF_SWEEP]
    return [child for child in node.children if child.children or child in kept]


def _line(node: Node, above: Mapping[str, Any]) -> str:
    if node.record is None:
        of = f"{node.completed} of {counted(node.planned, 'run')}"
        return f"{plain(node.name)}  sweep, {of} completed"
    record = node.record
    own = _typed_overrides(node)
    typed = {key: value for key, value in own.items() if above.get(key, "") != value}
    shown = [
        f"~{plain(key)}" if value is None else f"{plain(key)}={plain(brief(value))}"
        for key, value in typed.items()
    ]
    more = [f"and {len(shown) - MOST_OVERRIDES} more"] if len(shown) > MOST_OVERRIDES else []
    parts = [
        plain(node.name),
        MARKS.get(node.relation or "", "").strip(),
        f"of {plain(node.missing)}, which is not here" if node.missing else "",
        " ".join([*shown[:MOST_OVERRIDES], *more]),
        _result(record),
        _resumption(record),
    ]
    return "  ".join(part for part in parts if part)


def _typed_overrides(node: Node) -> dict[str, str | None]:
    overrides = (node.record or {}).get("overrides")
    return dict(split_override(str(o)) for o in overrides) if isinstance(overrides, list) else {}


def _settings(node: Node) -> dict[str, str | None]:
    """What is not said again of the runs below: what all runs of a sweep have in common.

    Of a run, what it was started with, and resumed with: a run that repeats it has all of it.
    """
    if node.record is None and len(node.children) > 1:
        common = set.intersection(*(set(_typed_overrides(c).items()) for c in node.children))
        return dict(common)
    return _typed_overrides(node) | dict(map(split_override, resumed_with(node.record or {})))


def _result(record: Mapping[str, Any]) -> str:
    """The status of a run that has not completed, else a test metric."""
    if (status := record.get("status")) != "completed":
        return plain(str(status))
    names = [name for name in record.get("test") or {} if "loss" not in name] or ["loss"]
    value = number(value_of(record, f"test.{names[0]}"))
    return "" if value is None else f"test {plain(names[0])} {figure(value)}"


def _resumption(record: Mapping[str, Any]) -> str:
    resumed = record.get("resumed")
    times = len(resumed) if isinstance(resumed, list) else 0
    return f"resumed {times} times" if times > 1 else "resumed" if times else ""

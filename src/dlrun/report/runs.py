"""A table of runs, as wide as the terminal, or 80 columns without one."""

from __future__ import annotations

import csv
import io
import math
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dlrun.errors import counted
from dlrun.report.cells import figure, plain
from dlrun.report.tables import table
from dlrun.runs import query
from dlrun.runs.status import start_time

# A record's keys, in the order of the columns.
HEAD = ("run", "age", "status", "tags", "model", "backend", "loop", "epoch")
# The columns to drop if the table is too wide, in this order.
DISPENSABLE = ("model", "seconds", "epoch", "age", "loop", "backend", "tags")
SHAREABLE = ("status", "model", "backend", "loop")


@dataclass
class _Column:
    key: str
    head: tuple[str, str]
    cells: list[str]

    @property
    def width(self) -> int:
        return max(map(len, (*self.head, *self.cells)))


def runs_table(result: Mapping[str, Any], asked: Sequence[str] = (), *, width: int = 80) -> str:
    """A line per run; below, the values that all runs share and the dropped columns.

    Args:
        result: The result of ``dlrun runs``.
        asked: Additional keys to show.
        width: Characters per line.
    """
    records = result["runs"]
    if not records:
        if result["found"]:
            found, where = result["found"], result["runs_dir"]
            if found == 1:
                return f"the 1 run in {where} does not match"
            return f"none of {counted(found, 'run')} in {where} matches"
        return f"no runs in {result['runs_dir']}; 'dlrun train' makes one"
    columns = [column for column in _columns(records, asked) if any(column.cells)]
    shared = []
    if len(records) > 1:
        equal = [c for c in columns if c.key in (*SHAREABLE, *asked) and len(set(c.cells)) == 1]
        columns = [column for column in columns if column not in equal]
        shared = [f"{plain(column.key)} {column.cells[0]}" for column in equal]
    left_out = []
    for key in DISPENSABLE:
        if sum(column.width + 2 for column in columns) - 2 > width:
            left_out += [column.head[1] for column in columns if column.key == key]
            columns = [column for column in columns if column.key != key]
    heads = [h for h in zip(*(c.head for c in columns), strict=True) if any(h)]
    rows = zip(*(column.cells for column in columns), strict=True)
    below = [f"all: {', '.join(shared)}"] if shared else []
    if left_out:
        below.append(f"no room for {', '.join(left_out)}: see --csv, or widen the terminal")
    below = [line for paragraph in below for line in textwrap.wrap(paragraph, width)]
    return "\n".join([table([*heads, *rows]), *([""] if below else []), *below])


def runs_csv(result: Mapping[str, Any]) -> str:
    """A row per run, a column per value that is not a list, in the order of ``run.json``."""
    rows = [
        {
            plain(key): plain(_tags(record) if key == "tags" else query.text(value))
            for key, value in query.flat(record)
            if value is not None
            and (not isinstance(value, Mapping | list) or key == "tags")
            and key != "traceback"
        }
        for record in result["runs"]
    ]
    written = io.StringIO()
    columns = dict.fromkeys(("run", "run_dir", *(key for row in rows for key in row)))
    writer = csv.DictWriter(written, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().rstrip("\n")


def _columns(records: Sequence[query.Record], asked: Sequence[str]) -> list[_Column]:
    def column(key: str, of: Callable[[query.Record], str], over: str = "", head: str = "") -> None:
        cells = [plain(of(record)) for record in records]
        columns.append(_Column(key, (over, plain(head or key)), cells))

    columns: list[_Column] = []
    special: dict[str, Callable[[query.Record], str]] = {
        "age": partial(_age, time.time()),
        "epoch": _epoch,
        "tags": _tags,
    }
    for key in HEAD:
        column(key, special.get(key, _formatter(key)))
    if all(record["run"].startswith(f"{record.get('model')}/") for record in records):
        columns.pop(HEAD.index("model"))
    shown = {*HEAD, "tag", "started", "epochs", "best_epoch", "seconds", "seconds.total"}
    for split, over in (("validation", "val"), ("test", "test")):
        logged = [m for record in records if isinstance(m := record.get(split), Mapping)]
        for number, name in enumerate(_metrics(logged)):
            key = f"{split}.{name}"
            shown |= {key, query.SPLITS[split] + name}
            column("metric", _formatter(key, figure), over if not number else "", name)
    column("seconds", _seconds)
    for key in dict.fromkeys(asked):
        if key not in shown:
            of_split = _logged_in(records, key)
            over, _, name = (of_split or key).rpartition(".")
            column(key, _formatter(key, figure if of_split else query.text), over, name)
    return columns


def _logged_in(records: Sequence[query.Record], key: str) -> str | None:
    """A metric with its split, as ``train.accuracy`` for ``accuracy``; None for another key."""
    split, _, name = key.partition(".")
    if split not in query.SPLITS:
        split, name = ("validation", key[4:]) if key.startswith("val_") else ("train", key)
    logged = any(name in of for record in records if isinstance(of := record.get(split), Mapping))
    return f"{split}.{name}" if logged else None


def _formatter(key: str, show: Callable[[Any], str] = query.text) -> Callable[[query.Record], str]:
    def of(record: query.Record) -> str:
        value = query.value_of(record, key)
        return "" if value is None else show(value)

    return of


def _metrics(logged: Sequence[Mapping[str, Any]]) -> list[str]:
    """The loss, and the most frequent other metric."""
    names = Counter(name for metrics in logged for name in metrics)
    others = [name for name, _ in names.most_common() if "loss" not in name]
    return [*(["loss"] if names["loss"] else []), *others[:1]]


def _epoch(record: query.Record) -> str:
    """The best epoch and the number of completed epochs."""
    counts = [record.get("best_epoch"), record.get("epochs")]
    return "/".join(query.text(count) for count in counts if count is not None)


def _tags(record: query.Record) -> str:
    tags = record.get("tags")
    return ", ".join(map(str, tags)) if isinstance(tags, list) else ""


def _seconds(record: query.Record) -> str:
    seconds = query.number(query.value_of(record, "seconds"))
    return "" if seconds is None else f"{seconds:.1f}"


def _age(now: float, record: query.Record) -> str:
    seconds = max(now - start_time(record), 0)
    if math.isinf(seconds):
        return ""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

"""Which run descends from which: repeated with changes, started from weights, made by a sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from dlrun.remote.places import working_folder
from dlrun.runs.directory import SWEEP_FILE
from dlrun.runs.query import Record
from dlrun.runs.status import start_time
from dlrun.system.files import is_file, read_json

FROM, WEIGHTS, SWEEP = "from", "weights", "sweep"


@dataclass
class Node:
    """A run or a sweep, and what descends from it.

    Args:
        name: The short name of the run; the path of the sweep.
        relation: ``from`` for a run repeated with changes, ``weights`` for one that starts from
            another's weights, ``sweep`` for a run of a sweep; None for a root.
        record: Of the run; None for a sweep.
        missing: The parent that a root names but that is not in the folder.
        children: In the order in which they were started.
        completed: Of a sweep, how many of its runs have completed.
        planned: Of a sweep, how many runs it has once it is done.
    """

    name: str
    relation: str | None
    record: Record | None
    missing: str | None = None
    children: list[Node] = field(default_factory=list)
    completed: int = 0
    planned: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The node for JSON."""
        record = self.record or {}
        resumed = record.get("resumed")
        return {
            "run": self.name if self.record is not None else None,
            "sweep": None if self.record is not None else self.name,
            "relation": self.relation,
            "missing_parent": self.missing,
            "status": record.get("status"),
            **({} if self.record else {"completed": self.completed, "planned": self.planned}),
            "resumed": len(resumed) if isinstance(resumed, list) else 0,
            "children": [child.to_dict() for child in self.children],
        }


def trees(records: Sequence[Record]) -> list[Node]:
    """The runs that descend from no other, with those that do below them.

    Args:
        records: From :func:`dlrun.api.list_runs.list_runs`.
    """
    nodes = {str(record["run_dir"]): Node(str(record["run"]), None, record) for record in records}
    find = _Finder(records)
    parents: dict[str, str] = {}
    for path, node in nodes.items():
        relation, entry = _parent(node.record or {})
        if relation is None:
            continue
        node.relation = relation
        parent = find(entry)
        if parent is None or parent == path or _descends(parent, path, parents):
            node.missing = str(entry.get("run_dir"))
        else:
            parents[path] = parent
    sweeps: dict[str, Node] = {}
    roots: list[Node] = []
    for path in sorted(nodes, key=lambda path: (start_time(nodes[path].record or {}), path)):
        node, folder = nodes[path], path.rpartition("/")[0]  # a Path would break a URL
        if (above := parents.get(path)) is not None:
            nodes[above].children.append(node)
        elif node.relation is None and is_file(working_folder(Path(folder)) / SWEEP_FILE):
            if folder not in sweeps:
                sweeps[folder] = Node(folder, None, None)
                roots.append(sweeps[folder])
            node.relation = SWEEP
            sweeps[folder].children.append(node)
        else:
            roots.append(node)
    for folder, sweep in sweeps.items():
        _count(sweep, working_folder(Path(folder)) / SWEEP_FILE)
    return roots


def _count(sweep: Node, file: Path) -> None:
    """Count a sweep's runs: also those that never began, were removed, or are not shown."""
    try:
        content = read_json(file)
    except (OSError, ValueError):
        content = None
    record = content if isinstance(content, Mapping) else {}
    entries = runs if isinstance(runs := record.get("runs"), list) else []
    status = {
        PurePath(str(entry.get("run_dir"))).name: entry.get("status")
        for entry in entries
        if isinstance(entry, Mapping)
    }
    # A run that was resumed alone has completed since the sweep's record was written.
    for child in sweep.children:
        shown = child.record or {}
        status[PurePath(str(shown["run_dir"])).name] = shown.get("status")
    planned = record.get("runs_planned")
    sweep.completed = sum(state == "completed" for state in status.values())
    sweep.planned = max(len(status), planned if isinstance(planned, int) else 0)


class _Finder:
    """Finds the run that a record names as its parent, also where the folder was moved."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._by_path = {_absolute(record["run_dir"]): str(record["run_dir"]) for record in records}
        self._by_end: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._by_start: dict[str, list[str]] = defaultdict(list)
        for record in records:
            path = str(record["run_dir"])
            self._by_end[PurePath(path).parts[-2:]].append(path)
            self._by_start[str(record.get("started"))].append(path)

    def __call__(self, entry: Mapping[str, Any]) -> str | None:
        named = str(entry.get("run_dir"))
        if (found := self._by_path.get(_absolute(named))) is not None:
            return found
        for candidates in (
            self._by_end.get(PurePath(named).parts[-2:], []),
            self._by_start.get(str(entry.get("started")), []),  # of a run that was renamed
        ):
            if len(candidates) == 1:
                return candidates[0]
        return None


def _parent(record: Record) -> tuple[str | None, Mapping[str, Any]]:
    """How a run descends from another, and the entry that names it."""
    entry = record.get("parent")
    if isinstance(entry, Mapping):
        return FROM, entry
    config = record.get("config")
    start = config.get("init_from") if isinstance(config, Mapping) else None
    return (WEIGHTS, {"run_dir": start}) if isinstance(start, str) else (None, {})


def _descends(path: str, ancestor: str, parents: Mapping[str, str]) -> bool:
    """Whether a run descends from another; records that were edited may form a circle."""
    while (above := parents.get(path)) is not None:
        if above == ancestor:
            return True
        path = above
    return False


def _absolute(path: Any) -> str:
    return str(Path(str(path)).absolute())

"""``dlrun diff``: what differs between two runs: config, code, data, environment and result."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlrun.api.earlier import config_changes
from dlrun.config.run_config import read_config
from dlrun.errors import DlrunError
from dlrun.runs.directory import CONFIG
from dlrun.runs.locate import find_run
from dlrun.runs.names import short_names
from dlrun.runs.status import current_record

RESULT = (
    "status", "error", "stopped_by", "epochs", "best_epoch", "parameters",
    "train", "validation", "test",
)  # fmt: skip
ENVIRONMENT = ("versions", "backend", "device", "host", "cores")
MOST_FILES = 200
GIT_SECONDS = 20


def diff(one: str, other: str, *, runs_dir: Path) -> dict[str, Any]:
    """Compare two runs, the earlier one first.

    Args:
        one: A path, a name or ``latest``.
        other: The run to compare with it.
        runs_dir: Where to look for names.

    Returns:
        ``runs``; ``config``, ``data``, ``environment`` and ``result``, each with a pair of values
        by key, None where a run lacks it; and ``code``: ``commits``, ``dirty``, ``modules``, the
        hashes of the project's modules, and ``same``, whether the recorded states are equal, None
        if that can't be told. Where the working directory's repository has both commits, also
        ``ahead``, ``behind`` and the ``files`` that differ.

    Raises:
        DlrunError: If they are one run, or one of them can't be read.
    """
    opened = [find_run(name, runs_dir) for name in (one, other)]
    if opened[0].path.resolve() == opened[1].path.resolve():
        raise DlrunError(
            f"{one} and {other} are the same run", hint="name two runs of 'dlrun runs'"
        )
    records = [current_record(run) for run in opened]
    configs = [read_config(run.path / CONFIG) for run in opened]
    names = short_names([run.path for run in opened])
    return {
        "runs": [
            {"run": name, "run_dir": str(run.path)} for name, run in zip(names, opened, strict=True)
        ],
        "config": _pairs(configs[0], configs[1]),
        "code": _code(*records),
        "data": _pairs(*(_part(record, ("data_fingerprint",)) for record in records)),
        "environment": _pairs(*(_part(record, ENVIRONMENT) for record in records)),
        "result": _pairs(*(_part(record, RESULT) for record in records)),
    }


def _part(record: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: record[key] for key in keys if key in record}


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {key: list(pair) for key, pair in config_changes(before, after).items()}


def _code(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    states = [_mapping(record.get("git")) for record in (before, after)]
    one, other = map(_commit, states)
    known = all(record.get("code") is not None for record in (before, after))
    found: dict[str, Any] = {
        "commits": [one, other],
        "dirty": [state.get("dirty") for state in states],
        "modules": [record.get("code") for record in (before, after)],
        "same": None,
    }
    if one and other and one != other:
        return found | {"same": False} | _of_repository(one, other)
    if known:
        found["same"] = all(before.get(key) == after.get(key) for key in ("git", "code"))
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _commit(state: Mapping[str, Any]) -> str | None:
    """A recorded commit. A copied record may hold anything, also what git takes for an option."""
    commit = str(state.get("commit"))
    return commit if re.fullmatch("[0-9a-f]{7,64}", commit) else None


def _of_repository(before: str, after: str) -> dict[str, Any]:
    """What git says of two commits; empty if the working directory's repository lacks one."""
    try:
        counts = _git("rev-list", "--left-right", "--count", f"{before}...{after}")
        behind, ahead = map(int, counts.split())
        changed = _git("diff", "--no-ext-diff", "--numstat", before, after).splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    files = []
    for line in changed[:MOST_FILES]:
        added, removed, name = line.split("\t", 2)
        files.append({"file": name, "added": _count(added), "removed": _count(removed)})
    return {"ahead": ahead, "behind": behind, "files": files, "changed_files": len(changed)}


def _git(*words: str) -> str:
    command = ["git", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    return done.stdout


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() else None  # "-" of a binary file

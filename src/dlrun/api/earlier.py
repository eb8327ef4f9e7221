"""``dlrun train --from RUN``: an earlier run again, with changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlrun import __version__
from dlrun.config.earlier import Earlier, compose_earlier, covers
from dlrun.config.project import Project
from dlrun.config.run_config import read_config, upgrade_overrides
from dlrun.config.schema import Config
from dlrun.errors import DlrunError, shorten
from dlrun.remote.places import shown_path, working_folder
from dlrun.runs import query
from dlrun.runs.directory import CONFIG, RunDir
from dlrun.runs.locate import find_run
from dlrun.system.equality import is_same
from dlrun.system.override_text import split_override

log = logging.getLogger("dlrun")

MOST_LINES = 12  # of the diff at the start
RUNS_DIR = "runs_dir"


def compose_from(run: str, overrides: Sequence[str], *, project: Project) -> tuple[Earlier, RunDir]:
    """Compose the config of an earlier run with changes, and report what differs.

    Args:
        run: A path, a name or ``latest``; names are looked up in the ``runs_dir`` that the changes
            set, then in ``runs``.
        overrides: The changes.
        project: The user's own options, and what is trusted.

    Raises:
        DlrunError: If there is no such run, or as :func:`dlrun.config.earlier.compose_earlier`.
    """
    opened = find_earlier(run, overrides)
    recorded = read_config(opened.path / CONFIG)
    earlier = compose_earlier(
        recorded,
        _overrides(opened, recorded),
        overrides,
        project=project,
        trained_in=None if project.config_dir else opened.project,
    )
    _report(opened, recorded, earlier)
    return earlier, opened


def with_overrides_of(run: str, overrides: Sequence[str]) -> list[str]:
    """The overrides of an earlier run, but those of a key that is set anew, and the new ones.

    Args:
        run: As for :func:`compose_from`.
        overrides: The new ones, with one value or several.

    Raises:
        DlrunError: If there is no such run.
    """
    opened = find_earlier(run, overrides)
    before = _overrides(opened, read_config(opened.path / CONFIG))
    # Several values are in no run's grammar: the key says what is replaced.
    single = [f"{split_override(line)[0]}=x" for line in overrides if not line.startswith("+")]
    return [*(line for line in before if not covers(single, line)), *overrides]


def find_earlier(run: str, overrides: Sequence[str]) -> RunDir:
    """The run that is repeated.

    Args:
        run: As for :func:`compose_from`.
        overrides: The changes, which may set the ``runs_dir`` where names are looked up.

    Raises:
        DlrunError: If there is no such run.
    """
    runs_dir = dict(map(split_override, overrides)).get(RUNS_DIR)
    if runs_dir is not None:
        with suppress(DlrunError):  # the new place may hold no runs yet
            return find_run(run, Path(runs_dir))
    return find_run(run, Path(Config().runs_dir))


def parent_entry(opened: RunDir) -> dict[str, Any]:
    """The entry ``parent`` of ``run.json``: where the earlier run is, and when it was started."""
    return {"run_dir": shown_path(opened.path), "started": opened.record.get("started")}


def config_changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The values that differ, by key, before and after; None where there is none.

    Args:
        before: A resolved config.
        after: The other one.
    """
    old, new = dict(query.flat(before)), dict(query.flat(after))
    return {
        key: (old.get(key), new.get(key))
        for key in dict.fromkeys((*old, *new))
        if not is_same(old.get(key), new.get(key))
    }


def change_lines(changes: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """A line for each change, as ``optimizer.learning_rate  0.001 -> 0.0003``."""
    width = max(map(len, changes), default=0)
    return [f"{key:<{width}}  {_text(old)} -> {_text(new)}" for key, (old, new) in changes.items()]


def _text(value: Any) -> str:
    return "-" if value is None else shorten(query.text(value))


def _overrides(opened: RunDir, recorded: Mapping[str, Any]) -> list[str]:
    """The overrides of a run and of its resumptions, the last of each key.

    A place that does not hold the run is left out: a copied run must not say where to write.
    """
    resumed = opened.record.get("resumed")
    lists = [opened.record, *(resumed if isinstance(resumed, list) else [])]
    lines: list[str] = []
    for entry in lists:
        typed = entry.get("overrides") if isinstance(entry, dict) else None
        for line in map(str, typed if isinstance(typed, list) else []):
            key = split_override(line)[0]
            if not line.startswith(("+", "~")):
                lines = [other for other in lines if split_override(other)[0] != key]
            lines.append(line)
    recorded_dir = Path(str(recorded.get(RUNS_DIR)))
    place = working_folder(recorded_dir).resolve()
    lines = [line for line in lines if split_override(line)[0] != RUNS_DIR]
    lines = upgrade_overrides(lines, recorded)
    is_default = recorded.get(RUNS_DIR) == Config().runs_dir
    if not is_default and opened.path.resolve().is_relative_to(place):
        lines.append(f"{RUNS_DIR}={recorded[RUNS_DIR]}")
    return lines


def _report(opened: RunDir, recorded: Mapping[str, Any], earlier: Earlier) -> None:
    """Log what changes, what no longer exists, and what is new since."""
    log.info("from   %s", opened.path)
    versions = opened.record.get("versions")
    version = versions.get("dlrun") if isinstance(versions, dict) else None
    if version != __version__:
        log.warning("it was trained by dlrun %s; this is %s", version, __version__)
    for line in earlier.gone:
        log.warning("%s", line)
    changes = {
        key: values
        for key, values in config_changes(recorded, asdict(earlier.config)).items()
        if key not in earlier.added and not (values[1] is None and _is_gone(key, earlier))
    }
    lines = change_lines(changes) or ["nothing changes"]
    for line in lines[:MOST_LINES]:
        log.info("       %s", line)
    if left_out := len(lines) - len(lines[:MOST_LINES]):
        log.info("       and %d more: dlrun diff shows all", left_out)
    if earlier.added:
        names = ", ".join(earlier.added[:4]) + (", ..." if len(earlier.added) > 4 else "")
        log.info("       %d keys that it did not have: %s", len(earlier.added), names)


def _is_gone(key: str, earlier: Earlier) -> bool:
    return any(line.startswith(f"{key}=") for line in earlier.gone)

"""``dlrun tag`` and ``dlrun rename``: what the user says of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.remote.fetch import refuse_writers
from dlrun.remote.mirror import push
from dlrun.remote.places import refuse_remote, shown_path
from dlrun.runs.annotations import changes_of, read_annotations, write_annotations
from dlrun.runs.directory import lock
from dlrun.runs.locate import FORMER_NAMES, find_run
from dlrun.runs.status import is_locked
from dlrun.system.files import exists

NAME = re.compile(r"\w[\w.-]{0,99}")


def tag(
    run: str,
    tags: Sequence[str] = (),
    *,
    remove: Sequence[str] = (),
    note: str | None = None,
    runs_dir: Path = Path("runs"),
) -> dict[str, Any]:
    """Add and remove tags of a run, and set its note; also while it is trained.

    Args:
        run: A run directory, its name or id, or ``latest``.
        tags: To add.
        remove: To remove.
        note: A text; empty to remove it, None to keep it.
        runs_dir: Where to look for names and ``latest``.

    Returns:
        ``run_dir``, ``tags`` and ``note``, as they are now.

    Raises:
        DlrunError: If there is no such run, or it does not have a tag to remove.
    """
    path = find_run(run, runs_dir).path
    if not (tags or remove or note is not None):
        return {"run_dir": shown_path(path), **read_annotations(path)}
    is_sent_by_us = not is_locked(path)  # else by the process that trains it
    if is_sent_by_us:
        refuse_writers(path)
    with changes_of(path):
        after = _change(path, tags, remove, note)
    if is_sent_by_us:
        push(path)
    return {"run_dir": shown_path(path), **after}


def _change(
    path: Path, tags: Sequence[str], remove: Sequence[str], note: str | None
) -> dict[str, Any]:
    before = read_annotations(path)
    if unknown := [one for one in remove if one not in before["tags"]]:
        raise DlrunError(
            f"{path} has no tag '{unknown[0]}'",
            hint=f"it has {', '.join(before['tags'])}" if before["tags"] else None,
        )
    kept = [one for one in before["tags"] if one not in remove]
    after = list(dict.fromkeys([*kept, *tags]))
    return write_annotations(path, after, before["note"] if note is None else note)


def rename(run: str, name: str, *, runs_dir: Path = Path("runs")) -> dict[str, Any]:
    """Give a run's directory another name, by which it is found.

    Args:
        run: A run directory, its name or id, or ``latest``.
        name: The new name of the directory.
        runs_dir: Where to look for names and ``latest``.

    Returns:
        ``run_dir`` and ``before``, its path until now.

    Raises:
        DlrunError: If the name can't be used, the run is being written, or it belongs to a sweep.
    """
    for place in (Path(run), runs_dir):
        refuse_remote(place, "'dlrun rename'")
    opened = find_run(run, runs_dir)
    path = opened.path
    if not NAME.fullmatch(name) or name == "latest":
        raise DlrunError(
            f"{name!r:.120}: expected letters, digits, '.', '_' and '-', and not 'latest'",
            hint="for example dlrun rename latest baseline",
        )
    if exists(path.parent / "sweep.json"):
        raise DlrunError(
            f"{path} belongs to a sweep, which knows it by its number",
            hint=f"dlrun tag {run} {name}",
        )
    target = path.with_name(name)
    if exists(target):
        raise DlrunError(f"{target} exists already", hint="choose another name")
    with lock(path):
        try:
            # What was written elsewhere of the run, such as its id, still finds it.
            before = opened.record.get(FORMER_NAMES)
            opened.update(
                **{FORMER_NAMES: [*(before if isinstance(before, list) else []), path.name]}
            )
            path.rename(target)
        except OSError as error:
            raise DlrunError(f"{path} can't be renamed: {error.strerror}", exit_code=1) from error
    return {"run_dir": str(target), "before": str(path)}

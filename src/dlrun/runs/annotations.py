"""Tags and a note of a run, in ``notes.json`` beside its record.

A run that is being trained rewrites ``run.json`` as it knows it; these are the user's, and may
change meanwhile.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.system.files import is_dir, is_file, read_json, write_json

ANNOTATIONS = "notes.json"
MOST_TAGS, LONGEST_TAG, LONGEST_NOTE = 100, 100, 10_000


@contextmanager
def changes_of(run: Path) -> Iterator[None]:
    """Hold the annotations of a run, so that none of two commands at once is lost.

    The lock is that of the folder, as a run that is being trained holds its own.
    """
    folder = None
    with suppress(OSError):  # a file system without locks
        folder = os.open(run, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if folder is not None:
            os.close(folder)


def read_annotations(run: Path) -> dict[str, Any]:
    """The ``tags``, a list, and the ``note``, a text or None; what is unreadable is left out."""
    try:
        found = read_json(run / ANNOTATIONS) if is_file(run / ANNOTATIONS) else {}
    except (OSError, ValueError):
        found = {}
    tags = found.get("tags") if isinstance(found, dict) else None
    note = found.get("note") if isinstance(found, dict) else None
    return {
        "tags": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        "note": note if isinstance(note, str) and note else None,
    }


def remove_attempt(run: Path) -> None:
    """Remove a run that is trained anew in the same place, but for what the user says of it.

    Raises:
        OSError: If a file of it can't be removed.
    """
    for path in run.iterdir():
        if path.name == ANNOTATIONS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    with suppress(OSError):  # not empty
        run.rmdir()


def has_annotations_alone(path: Path) -> bool:
    """Whether :func:`remove_attempt` has left a run's annotations there, and nothing else is."""
    return is_dir(path) and [inner.name for inner in path.iterdir()] == [ANNOTATIONS]


def write_annotations(run: Path, tags: list[str], note: str | None) -> dict[str, Any]:
    """Replace the tags and the note of a run.

    Raises:
        DlrunError: If one is not valid, or the file can't be written.
    """
    for tag in tags:
        if not tag or not tag.isprintable() or tag != tag.strip() or len(tag) > LONGEST_TAG:
            raise DlrunError(
                f"tag {ascii(tag)[:80]}: expected 1 to {LONGEST_TAG} printable characters"
            )
    if len(tags) > MOST_TAGS:
        raise DlrunError(f"a run has at most {MOST_TAGS} tags")
    if note is not None and len(note) > LONGEST_NOTE:
        raise DlrunError(f"a note has at most {LONGEST_NOTE:,} characters")
    annotations = {"tags": tags, "note": note or None}
    try:
        write_json(run / ANNOTATIONS, annotations)
    except OSError as error:
        raise DlrunError(
            f"can't write {run / ANNOTATIONS}: {error.strerror}", exit_code=1
        ) from error
    return annotations

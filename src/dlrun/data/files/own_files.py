"""Files that are a sample each, as a user names them to predict or to evaluate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dlrun.errors import DlrunError, nearest
from dlrun.system.files import exists, is_dir, is_file

RELATIVE = "a relative path starts from the working directory"  # a hint


def find_samples(source: Path, suffixes: Sequence[str], key: str) -> list[Path]:
    """A file, all files of a folder and of those below it, or those of a pattern.

    Args:
        source: What the user named; a file is taken whatever its suffix.
        suffixes: Of the files in a folder, in lower case.
        key: The option that names the source, for messages.

    Returns:
        Sorted by path.

    Raises:
        DlrunError: If there is none, or a folder can't be read.
    """
    if is_file(source):
        return [source]
    if is_dir(source):
        found = _walk(source, suffixes, key)
        problem = f"has no file {' or '.join(f'*{suffix}' for suffix in suffixes)}"
    else:
        start = Path(source.anchor)
        pattern = str(source.relative_to(start)) if source.anchor else str(source)
        try:
            found = sorted(path for path in start.glob(pattern) if is_file(path))
        except (OSError, ValueError):  # no name of a file: it is too long, or x**
            found = []
        problem = "no such file or folder"
    if not found:
        raise DlrunError(f"{key} {source}: {problem}", hint=RELATIVE)
    return found


def near_path(path: Path, *, folders: bool = False) -> str:
    """A hint for a file that is not there, or a folder: one of nearly its name."""
    if exists(path) and not is_dir(path):
        return "it is a pipe or a device: write what it holds into a file"
    parent = path.parent
    if not is_dir(parent):
        return f"there is no folder {parent}"
    near = nearest(path.name, [p.name for p in parent.iterdir() if is_dir(p) or not folders])
    return f"did you mean {parent / near}?" if near else RELATIVE


def folders_of(source: Path, paths: Sequence[Path], key: str) -> list[str]:
    """The folder within ``source`` that each file is in: its class.

    Raises:
        DlrunError: If a file lies in no folder.
    """
    parts = [path.relative_to(source).parts if path != source else () for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if len(part) < 2:
            folder = source.parent if path == source else source
            there = folder / "CLASS" / path.name
            hint = f"move it, as to {there}" + f", and name {folder}" * (path == source)
            raise DlrunError(
                f"{key} {source}: {path} lies in no folder that names its class", hint=hint
            )
    return [part[0] for part in parts]


def _walk(source: Path, suffixes: Sequence[str], key: str) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise DlrunError(f"{key} {error.filename} can't be read: {error.strerror}") from error

    found: list[Path] = []
    for place, folders, names in os.walk(source, followlinks=True, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found += [
            Path(place, name)
            for name in names
            if not name.startswith(".") and name.lower().endswith(tuple(suffixes))
        ]
    return sorted(found)

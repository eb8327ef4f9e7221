"""The user's own modules between two calls in one process: an edited one is imported again."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import dlrun
from dlrun.system.files import is_file

DLRUN = Path(dlrun.__file__).parent

# The modules that a call has used: their file, and when it was written.
_used: dict[str, tuple[str, int]] = {}


def remember_own_modules(places: Sequence[Path]) -> None:
    """Note which modules of the user's are imported, as soon as they are.

    Args:
        places: From :func:`dlrun.config.options.module_dirs`.
    """
    for name, file in _own_modules(places):
        if (written := _write_time(file)) is not None:
            _used.setdefault(name, (file, written))


def forget_changed_modules(places: Sequence[Path]) -> list[str]:
    """Drop the user's modules if one has changed, or another of its name comes first now.

    All are dropped: an unchanged one may have taken names from a changed one.

    Args:
        places: As for :func:`remember_own_modules`.

    Returns:
        The changed modules, in order of their names.
    """
    changed = sorted(name for name, used in _used.items() if _has_changed(name, used, places))
    if changed:
        for name, (file, _) in _used.items():
            if getattr(sys.modules.get(name), "__file__", None) == file:
                del sys.modules[name]
        _used.clear()
        importlib.invalidate_caches()
    return changed


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of an error's traceback in the user's code: not installed, and not dlrun's."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        frame
        for frame in frames
        if "site-packages" not in frame.filename and not Path(frame.filename).is_relative_to(DLRUN)
    ]


def _has_changed(name: str, used: tuple[str, int], places: Sequence[Path]) -> bool:
    file, written = used
    if getattr(sys.modules.get(name), "__file__", None) != file:
        return False  # the user has imported it again
    first = next((path for path in _files(name, places) if is_file(path)), file)
    return first != file or _write_time(file) != written


def _own_modules(places: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # A package that is installed from a folder below a place is not imported from the place.
        if isinstance(file, str) and name != "__main__" and file in _files(name, places):
            yield name, file


def _files(name: str, places: Sequence[Path]) -> Iterator[str]:
    """Where a module may lie, in the order in which it is searched."""
    path = name.replace(".", "/")
    for place in places:
        yield f"{place}/{path}/__init__.py"
        yield f"{place}/{path}.py"


def _write_time(file: str) -> int | None:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return None

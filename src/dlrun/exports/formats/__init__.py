"""The formats of ``dlrun export``, one file each.

Each module implements :class:`Format`; one whose files are taken as runs, :class:`RunFormat`.
There is no other list of them: ``--format``, its help and its completion come from the files here.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from dlrun.system.packages import require_package

if TYPE_CHECKING:  # completion imports this module, and NumPy takes a tenth of a second
    from dlrun.exports.formats._protocols import Format, RunFormat


def names() -> list[str]:
    """The names of all formats, which are their file names."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name[0] != "_")


def module(name: str) -> Format:
    """A format's module; none of its packages is imported."""
    imported: Any = importlib.import_module(f"{__name__}.{name}")
    form: Format = imported
    return form


def is_run(form: Format) -> TypeGuard[RunFormat]:
    """Whether ``dlrun evaluate`` and ``dlrun predict`` take a format's files as runs."""
    return form.IS_RUN


def require(name: str) -> None:
    """Check that the packages of a format are installed, without importing them.

    Raises:
        DlrunError: If one is not.
    """
    for package, extra in module(name).NEEDS.items():
        require_package(package, f"--format {name}", extra)


def format_of(path: Path) -> str | None:
    """The format of a file, by its suffix, or of a directory, by what is in it."""
    if path.is_dir():
        return "saved_model" if (path / "saved_model.pb").is_file() else None
    suffixes = {module(name).SUFFIX: name for name in names() if module(name).SUFFIX}
    return suffixes.get(path.suffix)


def companions(path: Path) -> list[Path]:
    """The other files of a format that writes several, by their common stem."""
    others = sorted(path.parent.glob(f"{path.stem}.*"))
    return [file for file in others if file.suffix not in (path.suffix, ".json")]

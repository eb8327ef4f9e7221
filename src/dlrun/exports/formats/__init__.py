"""The formats of ``dlrun export``, one file each.

Each module has

- ``BACKEND``: the backend that writes it best, on which the run is rebuilt; None for the run's own.
- ``NATIVE``: the backends that can write it too, from a network in their own terms.
- ``NEEDS``: the packages that write and run it, by the extra of dlrun that installs them.
- ``SUFFIX``: of the file; empty for a directory.
- ``RUNTIME``: the name of its own runtime.
- ``QUANTIZES``: the kinds that ``--quantize`` can write.
- ``IS_RUN``: whether ``dlrun evaluate`` and ``dlrun predict`` take the file as a run.
- ``NEEDS_GRAPH``: whether it holds the graph; if not, it is written from the model alone.
- ``write(model, content, path, calibration)``: writes a ``keras.Model`` of
  :func:`dlrun.assembly.export_graph.export_graph`. ``content.quantize`` is the kind to write, and
  ``calibration`` are samples of the training split for ``int8``.
- ``open_file(path, options)``: the file in its runtime, a function from arrays to arrays, both by
  name. ``options`` is one of ``MODES``, if the runtime computes in more than one precision.
- ``read_content(path)``: the JSON in the file's own metadata; None if it is not dlrun's.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError


def names() -> list[str]:
    """The names of all formats, which are their file names."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name[0] != "_")


def module(name: str) -> Any:
    """A format's module; none of its packages is imported."""
    return importlib.import_module(f"{__name__}.{name}")


def require(name: str) -> None:
    """Check that the packages of a format are installed, without importing them.

    Raises:
        DlrunError: If one is not.
    """
    for package, extra in module(name).NEEDS.items():
        if importlib.util.find_spec(package) is None:
            raise DlrunError(
                f"--format {name} needs {package}, which is not installed",
                hint=f"pip install 'dlrun[{extra}]'",
            )


def format_of(path: Path) -> str | None:
    """The format of a file, by its suffix, or of a directory, by what is in it."""
    if path.is_dir():
        return "saved_model" if (path / "saved_model.pb").is_file() else None
    suffixes = {module(name).SUFFIX: name for name in names() if module(name).SUFFIX}
    return suffixes.get(path.suffix)

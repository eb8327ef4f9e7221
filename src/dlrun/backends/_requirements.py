"""Whether a backend can be used here, found out without importing its framework."""

from __future__ import annotations

import importlib.util
import sys

from dlrun.backends._modules import installed_backends, module, training_module, trains
from dlrun.errors import DlrunError


def require(name: str, *, training: bool, compile: str = "auto") -> None:
    """Check that a backend can do what the run needs, without importing a framework.

    Args:
        name: The backend.
        training: Whether the run trains.
        compile: The run's ``loop.compile``.

    Raises:
        DlrunError: If the backend is not installed, can't train, or can't compile this way.
    """
    backend = module(name)
    if training:
        training_module(name)  # refuses one that can't
    if importlib.util.find_spec(backend.PACKAGE) is None:
        why = "" if name == backend.PACKAGE else f" (it needs {backend.PACKAGE})"
        usable = [n for n in installed_backends() if module(n).TRAINS or not training]
        choice = f"choose backend={usable[0]}" if usable else None
        install = f"pip install 'dlrun[{backend.EXTRA}]'"
        if no_build := why_no_build(backend.PACKAGE, sys.version_info[:2]):
            why, install = f": {no_build}", "use Python 3.13"
        raise DlrunError(
            f"backend '{name}' is not installed{why}",
            hint=f"{install}, or {choice}" if choice else install,
        )
    if training and trains(backend) and compile not in backend.COMPILES:
        raise DlrunError(
            f"loop.compile={compile}: backend '{name}' has {', '.join(backend.COMPILES)}",
            hint="loop.compile=auto",
        )


def require_gpu(name: str, *, compile: str, device: str) -> None:
    """Check that a run computes on a GPU if it is compiled for one.

    Args:
        name: A backend that can train.
        compile: The run's ``loop.compile``.
        device: The device in use, as ``kind:index``.

    Raises:
        DlrunError: If it does not.
    """
    if compile in training_module(name).ON_GPU and not device.startswith("gpu"):
        raise DlrunError(
            f"loop.compile={compile} is for a GPU, and the run computes on {device}",
            hint="loop.compile=auto",
        )


# The first version of Python that a package has no build for. As of November 2026.
NO_BUILD = {"tensorflow": (3, 14)}


def why_no_build(package: str, python: tuple[int, int]) -> str | None:
    """Why a package can't be installed on a version of Python; None if it can."""
    first = NO_BUILD.get(package)
    if first is None or python < first:
        return None
    return f"{package} has no build for Python {python[0]}.{python[1]}"

"""The modules of backends and of their devices, found by name; no framework is imported."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from dlrun.backends._protocols import Backend, TrainingBackend, VectorizingBackend
from dlrun.backends._spread import Distribution
from dlrun.errors import DlrunError

if TYPE_CHECKING:  # so that a type checker compares each module with its protocol
    from dlrun.backends import (
        _jax_devices,
        _tensorflow_devices,
        _torch_devices,
        jax,
        numpy,
        tensorflow,
        torch,
    )

    _jax: VectorizingBackend = jax
    _tensorflow: TrainingBackend = tensorflow
    _torch: TrainingBackend = torch
    _numpy: Backend = numpy
    _of_jax: Distribution = _jax_devices
    _of_tensorflow: Distribution = _tensorflow_devices
    _of_torch: Distribution = _torch_devices


def names() -> list[str]:
    """The names of all backends, which are their file names."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def module(name: str) -> Backend:
    """A backend's module; its framework is not imported.

    Raises:
        DlrunError: If dlrun has no such backend.
    """
    if name not in names():
        raise DlrunError(f"no backend '{name}'", hint=f"choose one of {', '.join(names())}")
    imported: Any = importlib.import_module(f"dlrun.backends.{name}")
    backend: Backend = imported
    return backend


def trains(backend: Backend) -> TypeGuard[TrainingBackend]:
    """Whether a backend can train."""
    return backend.TRAINS


def vectorizes(backend: Backend) -> TypeGuard[VectorizingBackend]:
    """Whether a backend can compute the steps of several runs in one program."""
    return trains(backend) and backend.VECTORIZES


def training_module(name: str) -> TrainingBackend:
    """The module of a backend that can train; its framework is not imported.

    Raises:
        DlrunError: If dlrun has no such backend, or it can't train.
    """
    backend = module(name)
    if not trains(backend):
        able = [each for each in installed_backends() if module(each).TRAINS]
        raise DlrunError(
            f"backend '{name}' can't train: it has no gradients; it evaluates and predicts",
            hint=f"choose backend={able[0]}" if able else "pip install 'dlrun[jax]'",
        )
    return backend


def installed_backends() -> list[str]:
    """The names of the backends whose package is installed."""
    return [name for name in names() if importlib.util.find_spec(module(name).PACKAGE)]


def installed_version(name: str) -> str | None:
    """The version of a backend's package, which is not imported; None if that has no metadata."""
    package = module(name).PACKAGE
    for distribution in (package, f"{package}-cpu"):  # as TensorFlow's for CPUs alone
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    return None


def distribution_of(name: str) -> Distribution:
    """How a backend spreads a run over devices; its framework is not imported."""
    imported: Any = importlib.import_module(f"dlrun.backends._{name}_devices")
    found: Distribution = imported
    return found

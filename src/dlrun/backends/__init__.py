"""Backends: everything that differs between frameworks, one file each with the same names.

A backend's module imports its framework inside its functions, so that naming a backend costs
nothing. :func:`start` sets the environment, which Keras and the frameworks read once, and imports
them; a process can start one backend only.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import platform
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from dlrun.backends._protocols import Backend, Stepper, TrainingBackend
from dlrun.errors import DlrunError
from dlrun.system import process
from dlrun.system.imports import filtered_stderr, without_gc, without_packages

__all__ = ["Backend", "Stepper", "TrainingBackend"]

if TYPE_CHECKING:  # so that a type checker holds each module against its protocol
    from dlrun.backends import jax, numpy, tensorflow, torch

    _jax: TrainingBackend = jax
    _tensorflow: TrainingBackend = tensorflow
    _torch: TrainingBackend = torch
    _numpy: Backend = numpy


def names() -> list[str]:
    """Every backend, by file name."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def module(name: str) -> Backend:
    """The module of a backend; its framework is not imported.

    Raises:
        DlrunError: If dlrun has no such backend.
    """
    if name not in names():
        raise DlrunError(f"no backend '{name}'", hint=f"choose one of {', '.join(names())}")
    found: Any = importlib.import_module(f"dlrun.backends.{name}")
    backend: Backend = found
    return backend


def trains(backend: Backend) -> TypeGuard[TrainingBackend]:
    """Whether a backend can train."""
    return backend.TRAINS


def training_module(name: str) -> TrainingBackend:
    """The module of a backend that trains; its framework is not imported.

    Raises:
        DlrunError: If dlrun has no such backend, or it can't train.
    """
    backend = module(name)
    if not trains(backend):
        raise DlrunError(
            f"backend '{name}' can't train: it has no gradients; it evaluates and predicts",
            hint=f"choose one of {', '.join(n for n in names() if module(n).TRAINS)}",
        )
    return backend


def installed() -> list[str]:
    """The backends whose package is installed."""
    return [name for name in names() if importlib.util.find_spec(module(name).PACKAGE)]


def require(name: str, *, training: bool, compile: str = "auto") -> None:
    """Check that a backend can do what is asked, without importing anything.

    Args:
        name: The backend.
        training: Whether it is to train.
        compile: How a raw loop is to be compiled.

    Raises:
        DlrunError: If it is not installed, or is to train or to compile so and can't.
    """
    wanted = module(name)
    usable = [n for n in installed() if module(n).TRAINS or not training]
    choice = f"choose backend={usable[0]}" if usable else None
    if training and not wanted.TRAINS:
        raise DlrunError(
            f"backend '{name}' can't train: it has no gradients; it evaluates and predicts",
            hint=choice or "pip install 'dlrun[jax]'",
        )
    if importlib.util.find_spec(wanted.PACKAGE) is None:
        why = "" if name == wanted.PACKAGE else f" (it needs {wanted.PACKAGE})"
        install = f"pip install 'dlrun[{wanted.EXTRA}]'"
        raise DlrunError(
            f"backend '{name}' is not installed{why}",
            hint=f"{install}, or {choice}" if choice else install,
        )
    if training and trains(wanted) and compile not in wanted.COMPILES:
        raise DlrunError(
            f"loop.compile={compile}: backend '{name}' has {', '.join(wanted.COMPILES)}",
            hint="loop.compile=auto",
        )


def prepare(name: str) -> None:
    """What must come before NumPy is imported, and with it the first threads."""
    if module(name).KEEPS_MEMORY:
        process.keep_freed_memory()


def start(
    name: str, *, kind: str, index: int | None, precision: str, seed: int, cache: bool = False
) -> tuple[Backend, str]:
    """Import Keras on a backend and a device, seeded.

    Args:
        name: A backend that :func:`require` let pass.
        kind: auto, cpu, gpu or tpu.
        index: Which device of that kind; None for the first.
        precision: A Keras dtype policy.
        seed: Decides the initial weights.
        cache: Keep compiled functions on disk, where the backend can.

    Returns:
        The backend's module, and the device in use as ``kind:index``.

    Raises:
        DlrunError: If the framework can't be imported, the device is not there, or this process
            has Keras on another backend already.
    """
    backend = module(name)
    cache_dir = _cache_dir(name) if cache else None
    _set_unless_set(backend.environment(kind, precision=precision, cache_dir=cache_dir))
    os.environ["KERAS_BACKEND"] = name
    again = "keras" in sys.modules
    try:
        with without_gc(), without_packages(backend.HIDDEN), filtered_stderr(backend.NOISE):
            device = _choose_device(name, backend, kind, index)
            import keras
    except ImportError as error:
        raise DlrunError(
            f"backend '{name}' can't be imported: {error}", hint="see 'dlrun doctor'"
        ) from error
    if keras.backend.backend() != name:
        raise DlrunError(
            f"this process has Keras on '{keras.backend.backend()}', not on '{name}'",
            hint="start another process for another backend",
            exit_code=1,
        )
    if again:
        keras.utils.clear_session()  # names and generators of the run before this one
    keras.config.set_dtype_policy(precision)
    random.seed(seed)  # Keras draws the seeds of initializers and layers from here
    _seed_numpy(seed)
    backend.seed(seed)
    return backend, device


def forget() -> None:
    """Let go of what Keras and its framework keep of a run that has been."""
    import keras

    module(keras.backend.backend()).forget()
    keras.utils.clear_session(free_memory=False)


def start_beside(name: str) -> None:
    """Import a framework beside the one that computes, to feed it.

    It sees no accelerator: TensorFlow would take all the memory of one.

    Args:
        name: Its backend, not the one that computes.

    Raises:
        DlrunError: If it can't be imported.
    """
    backend = module(name)
    _set_unless_set(backend.environment("cpu", precision="float32", cache_dir=None))
    try:
        with without_gc(), without_packages(backend.HIDDEN), filtered_stderr(backend.NOISE):
            backend.use_device("cpu:0")
    except ImportError as error:
        raise DlrunError(
            f"{backend.PACKAGE} can't be imported: {error}", hint="see 'dlrun doctor'"
        ) from error


def _set_unless_set(variables: Mapping[str, str]) -> None:
    for variable, value in variables.items():
        os.environ.setdefault(variable, value)


def _choose_device(name: str, backend: Backend, kind: str, index: int | None) -> str:
    devices = backend.devices()
    if kind == "auto":
        return backend.default_device()
    wanted = f"{kind}:{index or 0}"
    if wanted not in devices:
        asked = kind if index is None else wanted
        raise DlrunError(
            f"device '{asked}' is not there: backend '{name}' has {', '.join(devices)}",
            hint=f"choose device={devices[0].removesuffix(':0')}, or device=auto",
        )
    backend.use_device(wanted)
    return wanted


def _seed_numpy(seed: int) -> None:
    import numpy as np

    # For code of the user's that draws from NumPy's global generator.
    np.random.seed(seed % 2**32)


def _cache_dir(name: str) -> Path:
    """Where a backend keeps compiled functions: a folder for each kind of processor.

    A home may be shared by machines, and code compiled for one crashes on another.
    """
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        lines = [
            line for line in described.splitlines() if line.startswith(("model name", "flags"))
        ]
    except OSError:
        lines = []
    processor = "\n".join([platform.machine(), platform.processor(), *lines])
    return Path(home) / "dlrun" / name / hashlib.sha256(processor.encode()).hexdigest()[:8]


def keras_versions(name: str) -> dict[str, Any]:
    """The versions of Keras, of the backend's framework and of NumPy, once started."""
    import keras
    import numpy as np

    return {"keras": keras.__version__, name: module(name).version(), "numpy": np.__version__}

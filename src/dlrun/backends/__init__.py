"""Backends: everything that differs between frameworks, one module each with the same names.

A backend's module imports its framework inside its functions, so importing the module is cheap.
:func:`start` sets the environment, which Keras and the frameworks read once, and imports them. A
process can start only one backend.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import platform
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from dlrun.backends._process import refuse_another, running, same_device
from dlrun.backends._protocols import (
    Backend,
    Distribution,
    Spread,
    Stepper,
    Tracer,
    TrainingBackend,
)
from dlrun.errors import DlrunError, first_line
from dlrun.system import process, ranks
from dlrun.system.gpus import visible_gpus
from dlrun.system.imports import filtered_stderr, without_gc, without_packages

__all__ = ["Backend", "Spread", "Stepper", "Tracer", "TrainingBackend", "running"]

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

    _jax: TrainingBackend = jax
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


def training_module(name: str) -> TrainingBackend:
    """The module of a backend that can train; its framework is not imported.

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


def installed_backends() -> list[str]:
    """The names of the backends whose package is installed."""
    return [name for name in names() if importlib.util.find_spec(module(name).PACKAGE)]


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
    usable = [n for n in installed_backends() if module(n).TRAINS or not training]
    choice = f"choose backend={usable[0]}" if usable else None
    if training and not backend.TRAINS:
        raise DlrunError(
            f"backend '{name}' can't train: it has no gradients; it evaluates and predicts",
            hint=choice or "pip install 'dlrun[jax]'",
        )
    if importlib.util.find_spec(backend.PACKAGE) is None:
        why = "" if name == backend.PACKAGE else f" (it needs {backend.PACKAGE})"
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


# The first version of Python that a package has no build for. As of November 2026.
NO_BUILD = {"tensorflow": (3, 14)}


def why_no_build(package: str, python: tuple[int, int]) -> str | None:
    """Why a package can't be installed on a version of Python; None if it can."""
    first = NO_BUILD.get(package)
    if first is None or python < first:
        return None
    return f"{package} has no build for Python {python[0]}.{python[1]}"


def distribution_of(name: str) -> Distribution:
    """How a backend spreads a run over devices; its framework is not imported."""
    imported: Any = importlib.import_module(f"dlrun.backends._{name}_devices")
    found: Distribution = imported
    return found


def require_devices(name: str, spread: Spread, *, kind: str) -> None:
    """Check that a backend can spread a run over devices, without importing a framework.

    Args:
        name: The backend.
        spread: How.
        kind: The kind of the devices.

    Raises:
        DlrunError: If it can't, or there are not as many.
    """
    ways, key = module(name).DISTRIBUTES, f"distribution={spread.kind}"
    if spread.kind not in ways:
        others = [n for n in names() if spread.kind in module(n).DISTRIBUTES]
        raise DlrunError(
            f"{key}: backend '{name}' " + (f"has {', '.join(ways)}" if ways else "uses one device"),
            hint=f"backend={others[0]}, or distribution=none device.count=1",
        )
    gpus = [f"gpu:{index}" for index, _ in enumerate(visible_gpus())]
    if kind == "gpu" and gpus and len(gpus) < spread.devices:
        raise _too_few(spread, gpus)


def _too_few(spread: Spread, there: Sequence[str]) -> DlrunError:
    return DlrunError(
        f"device.count={spread.devices}: there {'is' if len(there) == 1 else 'are'}"
        f" {', '.join(there)}",
        hint=f"device.count={len(there)}"
        if not there[0].startswith("cpu")
        else "use a new process: the CPU is split when its first run starts",
    )


def prepare(name: str) -> None:
    """Set up the process; call it before NumPy is imported, which starts the first threads.

    Raises:
        DlrunError: If this process can't start the backend any more.
    """
    refuse_another(name)
    if module(name).KEEPS_MEMORY:
        process.keep_freed_memory()


def start(
    name: str,
    *,
    kind: str,
    index: int | None,
    precision: str,
    seed: int,
    matmul_precision: str = "default",
    cache: bool = False,
    spread: Spread | None = None,
) -> tuple[Backend, str]:
    """Import Keras on a backend and a device, seeded.

    Args:
        name: A backend that :func:`require` accepts.
        kind: auto, cpu, gpu or tpu.
        index: Index among the devices of that kind; None for the first.
        precision: A Keras dtype policy.
        seed: Seeds the initial weights.
        matmul_precision: default, high or highest.
        cache: Cache compiled functions on disk, if the backend can.
        spread: How the run is spread over devices; None for one.

    Returns:
        The backend's module, and the device in use as ``kind:index``.

    Raises:
        DlrunError: If the framework can't be imported, the device does not exist, or this process
            already runs Keras on another backend, device or width of numbers.
    """
    refuse_another(name)
    backend = module(name)
    cache_dir = _cache_dir(name) if cache else None
    _set_unless_set(backend.environment(kind, precision=precision, cache_dir=cache_dir))
    if spread:
        _set_unless_set(distribution_of(name).environment(spread))
    os.environ["KERAS_BACKEND"] = name
    is_restart = "keras" in sys.modules
    try:
        with without_gc(), without_packages(backend.HIDDEN), filtered_stderr(backend.NOISE):
            if spread:
                distribution_of(name).meet(spread)
            own = _own_device(name, spread)
            device = "" if is_restart else _choose_device(name, backend, kind, index, own)
            import keras
    except ImportError as error:
        raise DlrunError(
            f"backend '{name}' can't be imported: {error}", hint="see 'dlrun doctor'"
        ) from error
    if keras.backend.backend() != name:
        raise DlrunError(
            f"this process runs Keras on '{keras.backend.backend()}', not on '{name}'",
            hint="use a new process for another backend",
            exit_code=1,
        )
    if is_restart:
        device = same_device(backend, kind, index)
        keras.utils.clear_session()  # names and generators of the previous run
    backend.check_process(precision)
    if spread:
        distribution_of(name).spread_over(spread, _devices_of(name, spread, device))
    keras.config.set_dtype_policy(precision)
    backend.adapt_keras()
    backend.set_matmul_precision(matmul_precision)
    random.seed(seed)  # Keras draws the seeds of initializers and layers from here
    _seed_numpy(seed)
    backend.seed(seed)
    return backend, device


def forget() -> None:
    """Release what Keras and its framework keep from a finished run."""
    import keras

    module(keras.backend.backend()).forget()
    keras.utils.clear_session(free_memory=False)


def start_beside(name: str) -> None:
    """Import a second framework, only to feed the backend in use.

    It sees no accelerator: TensorFlow would allocate all of its memory.

    Args:
        name: The framework's backend, not the one in use.

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


def _own_device(name: str, spread: Spread | None) -> int | None:
    """The index of this process' own accelerator, if each of the run's processes has one."""
    group = ranks.current()
    return group.local_rank if spread and group and distribution_of(name).PROCESSES else None


def _choose_device(
    name: str, backend: Backend, kind: str, index: int | None, own: int | None
) -> str:
    devices = backend.devices()
    if kind == "auto" and own is None:
        return backend.default_device()
    kind = backend.default_device().partition(":")[0] if kind == "auto" else kind
    if own is not None and kind != "cpu":
        index = own
    device = f"{kind}:{index or 0}"
    if device not in devices:
        requested = kind if index is None else device
        raise DlrunError(
            f"no device '{requested}': backend '{name}' has {', '.join(devices)}",
            hint=f"choose device={devices[0].removesuffix(':0')}, or device=auto",
        )
    try:
        backend.use_device(device)
    except RuntimeError as error:  # from TensorFlow, once it has computed
        raise DlrunError(
            f"device={device}: {name} can't change its device any more: {first_line(error)}",
            hint="use a new process",
        ) from error
    return device


def _devices_of(name: str, spread: Spread, first: str) -> list[str]:
    kind = first.partition(":")[0]
    if ranks.started_outside() or (distribution_of(name).PROCESSES and kind == "cpu"):
        return [first]
    there = distribution_of(name).available(kind, spread)
    if len(there) < spread.devices:
        raise _too_few(spread, there)
    return there[: spread.devices]


def _seed_numpy(seed: int) -> None:
    import numpy as np

    # For user code that draws from NumPy's global generator.
    np.random.seed(seed % 2**32)


def compile_cache_dir() -> Path:
    """What holds a folder for each backend that caches compiled functions."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "dlrun"


def _cache_dir(name: str) -> Path:
    """Where a backend caches compiled functions: one folder per processor model.

    Machines may share a home directory, and code compiled for one may crash on another.
    """
    try:
        first_core = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        lines = [
            line for line in first_core.splitlines() if line.startswith(("model name", "flags"))
        ]
    except OSError:
        lines = []
    processor = "\n".join([platform.machine(), platform.processor(), *lines])
    return compile_cache_dir() / name / hashlib.sha256(processor.encode()).hexdigest()[:8]


def keras_versions(name: str) -> dict[str, Any]:
    """The versions of Keras, the backend's framework and NumPy; needs a started backend."""
    import keras
    import numpy as np

    return {"keras": keras.__version__, name: module(name).version(), "numpy": np.__version__}

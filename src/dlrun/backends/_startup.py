"""Start a backend in this process, and clear up after a run."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping
from typing import Any

from dlrun.backends._compile_cache import compile_cache_of
from dlrun.backends._devices import choose_device, devices_of
from dlrun.backends._imports import import_of
from dlrun.backends._modules import distribution_of, module
from dlrun.backends._process import refuse_another, same_device
from dlrun.backends._protocols import Backend
from dlrun.backends._spread import Spread
from dlrun.errors import DlrunError
from dlrun.system import process


def prepare(name: str) -> None:
    """Set up the process, before the framework starts its threads; again, it does nothing.

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
        name: A backend that :func:`dlrun.backends.require` accepts.
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
    cache_dir = compile_cache_of(name) if cache else None
    _set_unless_set(backend.environment(kind, precision=precision, cache_dir=cache_dir))
    if spread:
        _set_unless_set(distribution_of(name).environment(spread))
    os.environ["KERAS_BACKEND"] = name
    is_restart = "keras" in sys.modules
    try:
        with import_of(backend):
            if spread:
                distribution_of(name).meet(spread)
            device = "" if is_restart else choose_device(name, kind, index, spread)
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
        distribution_of(name).spread_over(spread, devices_of(name, spread, device))
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
        with import_of(backend):
            backend.use_device("cpu:0")
    except ImportError as error:
        raise DlrunError(
            f"{backend.PACKAGE} can't be imported: {error}", hint="see 'dlrun doctor'"
        ) from error


def _set_unless_set(variables: Mapping[str, str]) -> None:
    for variable, value in variables.items():
        os.environ.setdefault(variable, value)


def _seed_numpy(seed: int) -> None:
    import numpy as np

    # For user code that draws from NumPy's global generator.
    np.random.seed(seed % 2**32)


def keras_versions(name: str) -> dict[str, Any]:
    """The versions of Keras, the backend's framework and NumPy; needs a started backend."""
    import keras
    import numpy as np

    return {"keras": keras.__version__, name: module(name).version(), "numpy": np.__version__}

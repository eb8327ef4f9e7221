"""NumPy: evaluation and prediction without a framework's kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dlrun.data.batches import Batches

PACKAGE = "jax"  # Keras imports jax for this backend's convolutions
EXTRA = "jax"
TRAINS = False
HIDDEN: Sequence[str] = ("matplotlib", "pandas", "sklearn")
NOISE: Sequence[str] = ()
KEEPS_MEMORY = False
DISTRIBUTES: Sequence[str] = ()


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.Backend`."""
    return {"JAX_PLATFORMS": "cpu"}


def version() -> str:
    """See :class:`dlrun.backends.Backend`."""
    import numpy as np

    return np.__version__


def devices() -> list[str]:
    """See :class:`dlrun.backends.Backend`."""
    return ["cpu:0"]


def use_device(device: str) -> None:
    """There is only one device."""


def device_of(array: Any) -> str:
    """See :class:`dlrun.backends.Backend`."""
    return "cpu:0"


def check_process(precision: str) -> None:
    """See :class:`dlrun.backends.Backend`. Nothing is decided at the import."""


def adapt_keras() -> None:
    """Let Keras find shapes by calling a model on zeros, and divide by 0 without a warning.

    It uses memory as it finds it, in which a subclassed model looks up ids that it does not have.
    Its division that gives 0 there divides all the same.
    """
    import keras
    import numpy as np
    from keras.src import backend  # where its layers look the function up

    specify = backend.compute_output_spec
    if getattr(specify, "on_zeros", False):  # an earlier run of the process
        return

    def on_zeros(function: Any, *arguments: Any, **keywords: Any) -> Any:
        given = keras.tree.flatten((arguments, keywords))

        def call(*arguments: Any, **keywords: Any) -> Any:
            made = keras.tree.flatten((arguments, keywords))
            for symbol, array in zip(given, made, strict=True):
                if isinstance(symbol, keras.KerasTensor):
                    array.fill(0)
            return function(*arguments, **keywords)

        with np.errstate(invalid="ignore", divide="ignore"):  # to a mask, zeros may be padding
            return specify(call, *arguments, **keywords)

    divide = backend.numpy.divide_no_nan

    def divide_no_nan(x1: Any, x2: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return divide(x1, x2)

    on_zeros.on_zeros = True  # type: ignore[attr-defined]
    backend.compute_output_spec = on_zeros
    backend.numpy.divide_no_nan = divide_no_nan


def set_matmul_precision(precision: str) -> None:
    """NumPy computes in float32."""


def seed(seed: int) -> None:
    """NumPy's global generator is seeded for every backend."""


def seed_epoch(seed: int) -> None:
    """See :func:`seed`."""


def forget() -> None:
    """See :class:`dlrun.backends.Backend`."""


def random_state() -> list[np.ndarray]:
    """See :func:`seed`."""
    return []


def set_random_state(state: Sequence[np.ndarray]) -> None:
    """See :func:`seed`."""


def feed(batches: Batches) -> Any:
    """See :class:`dlrun.backends.Backend`."""
    from dlrun.feeds.pydataset import pydataset

    return pydataset(batches)

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


def default_device() -> str:
    """See :class:`dlrun.backends.Backend`."""
    return "cpu:0"


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

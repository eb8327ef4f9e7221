"""JAX."""

from collections.abc import Mapping
from pathlib import Path

PACKAGE = "jax"
EXTRA = "jax"
TRAINS = True
HIDDEN = ("matplotlib",)
NOISE: tuple[str, ...] = ()


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.BackendModule`."""
    variables = {}
    if kind == "cpu":
        variables["JAX_PLATFORMS"] = "cpu"  # else an accelerator would be started and held
    if precision == "float64":
        variables["JAX_ENABLE_X64"] = "1"  # else jax computes in float32, with a warning
    if cache_dir is not None:
        variables |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache_dir),
            # By default only what took a second to compile is kept.
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return variables


def version() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    import jax

    return str(jax.__version__)


def devices() -> list[str]:
    """See :class:`dlrun.backends.BackendModule`."""
    import jax

    found = []
    for kind in ("gpu", "tpu", "cpu"):
        try:
            found += [f"{kind}:{device.id}" for device in jax.devices(kind)]
        except RuntimeError:  # how jax says that there is none of a kind
            continue
    return found


def use_device(device: str) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import jax

    kind, _, index = device.partition(":")
    [chosen] = [d for d in jax.devices(kind) if d.id == int(index)]
    jax.config.update("jax_default_device", chosen)


def default_device() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    return devices()[0]


def seed(seed: int) -> None:
    """JAX has no generator of its own."""


def seed_epoch(seed: int) -> None:
    """See :func:`seed`."""


def feed(batches: object) -> None:
    """See :class:`dlrun.backends.BackendModule`."""

"""PyTorch."""

import os
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "torch"
EXTRA = "torch"
TRAINS = True
HIDDEN = ("matplotlib", "jax")
NOISE: tuple[str, ...] = ()


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.BackendModule`."""
    return {}


def version() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    return str(torch.__version__)


def devices() -> list[str]:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    gpus = torch.cuda.device_count() or int(torch.backends.mps.is_available())
    return [*(f"gpu:{index}" for index in range(gpus)), "cpu:0"]


def use_device(device: str) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    kind, _, index = device.partition(":")
    if kind == "cpu":
        name = "cpu"
    elif torch.cuda.is_available():
        torch.cuda.set_device(int(index))
        name = f"cuda:{index}"
    else:
        name = "mps"
    os.environ["KERAS_TORCH_DEVICE"] = name  # read when Keras is imported


def default_device() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    return devices()[0]


def seed(seed: int) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    torch.manual_seed(seed)


def seed_epoch(seed: int) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    torch.manual_seed(seed)


def feed(batches: object) -> None:
    """See :class:`dlrun.backends.BackendModule`."""

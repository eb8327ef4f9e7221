"""What a process has decided for all its runs: its backend and its device."""

from __future__ import annotations

import sys
from typing import Any

from dlrun.backends._protocols import Backend
from dlrun.errors import DlrunError
from dlrun.system.guest import is_guest


def running() -> str | None:
    """The backend that Keras runs on in this process; None if it is not imported."""
    keras_backend: Any = getattr(sys.modules.get("keras"), "backend", None)
    return str(keras_backend.backend()) if hasattr(keras_backend, "backend") else None


def refuse_another(name: str) -> None:
    """Refuse a backend where the process has imported what excludes it.

    Raises:
        DlrunError: If Keras runs on another one.
    """
    if (before := running()) not in (None, name):
        raise DlrunError(
            f"this process runs Keras on '{before}', not on '{name}'",
            hint=f"restart the kernel or use a new process for another backend, or backend={before}"
            if is_guest()
            else "use a new process for another backend",
        )
    if name == "torch" and "tensorflow" in sys.modules and "torch" not in sys.modules:
        raise DlrunError(
            "this process has imported TensorFlow, and torch has to be imported before it",
            hint="import torch first, or use a new process",
        )


def same_device(backend: Backend, kind: str, index: int | None) -> str:
    """The device that a process computes on, which its first use of Keras has decided.

    Raises:
        DlrunError: If another one is asked for.
    """
    import keras

    device = backend.device_of(keras.ops.zeros(()))
    asked = kind if index is None else f"{kind}:{index}"
    if kind != "auto" and asked not in (device, device.partition(":")[0]):
        raise DlrunError(
            f"device={asked}: this process computes on {device}, which its first run has decided",
            hint=f"use a new process for another device, or device={device.removesuffix(':0')}",
        )
    return device

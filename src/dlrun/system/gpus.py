"""The NVIDIA GPUs of a machine, found without a framework."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from dlrun.system.files import is_dir


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs visible to a process, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in visible.split(",")]
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))
    driver = Path("/proc/driver/nvidia/gpus")
    return [str(index) for index, _ in enumerate(driver.iterdir())] if is_dir(driver) else []

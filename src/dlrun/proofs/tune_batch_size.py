"""``dlrun tune batch_size``: the largest batch that fits, and the fastest one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.schema import Config
from dlrun.proofs.batch_size_search import (
    SizeSettings,
    check_sizes,
    search_sizes,
    without_batch_size,
)
from dlrun.proofs.bench_process import load_note

log = logging.getLogger("dlrun")


def tune_batch_size(overrides: Sequence[str], settings: SizeSettings) -> dict[str, Any]:
    """Find batch sizes for a config, as :func:`dlrun.proofs.batch_size_search.search_sizes` does.

    Args:
        overrides: As typed after ``dlrun tune batch_size``.
        settings: What to try.

    Returns:
        The result, as ``--json`` prints it.

    Raises:
        DlrunError: If the config or a setting is wrong, or nothing could be measured.
        RunInterrupted: If a signal stopped it; no process is left.
    """
    began, note = time.monotonic(), load_note()
    typed = without_batch_size(overrides)
    if len(typed) < len(overrides):
        log.info("note   batch_size is not used: it is what is tuned")
    config = compose(typed, project=settings.project)
    require(config, training=True)
    check_sizes(config, settings)
    left = settings.budget - (time.monotonic() - began)
    found = search_sizes(typed, settings._replace(budget=left))
    return {
        **_what(config),
        "overrides": typed,
        "method": settings.method,
        **found,
        "note": note,
        "seconds": round(time.monotonic() - began, 1),
    }


def _what(config: Config) -> dict[str, Any]:
    names = ("model", "data", "optimizer", "loop")
    chosen = {name: config.choices.get(name) for name in names}
    return {**chosen, "backend": config.backend.name, "precision": config.precision}

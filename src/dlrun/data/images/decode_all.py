"""Decode many image files at once: Pillow decodes in C, beside Python, so threads are enough."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from dlrun.data.images.decode import BrokenImageError
from dlrun.errors import DlrunError
from dlrun.system.process import cores
from dlrun.system.threads import map_in_order

log = logging.getLogger("dlrun")

CHUNK = 16  # files for a thread at a time
SECONDS = 5.0  # between two lines that tell how far it is
Result = TypeVar("Result")


def each(
    function: Callable[[Path], Result], paths: Sequence[Path], doing: str
) -> Iterator[Result | BrokenImageError]:
    """Call a function for each file, in threads; in the order of the files.

    Few results are kept ahead of the one that is asked for, so that memory stays flat.

    Args:
        function: For one file; it may raise :class:`BrokenImageError`.
        paths: The files.
        doing: What it does, for the lines that tell how far it is; empty for none.

    Yields:
        Its results, or the error.
    """
    chunks = (paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK))
    threads = cores()
    progress = _Progress(doing, len(paths))
    call = partial(_call_each, function)
    for results in map_in_order(call, chunks, threads=threads, ahead=4 * threads):
        yield from progress.count(results)


def broken_error(error: BrokenImageError) -> DlrunError:
    """The error of a file that can't be decoded, for the user."""
    return DlrunError(f"data: {error}", hint="replace it, or data.on_error=skip leaves it out")


def _call_each(
    function: Callable[[Path], Result], paths: Sequence[Path]
) -> list[Result | BrokenImageError]:
    results: list[Result | BrokenImageError] = []
    for path in paths:
        try:
            results.append(function(path))
        except BrokenImageError as error:
            results.append(error)
    return results


class _Progress:
    """Logs a line every few seconds.

    Args:
        doing: The line's words; empty for no line.
        files: How many there are.
    """

    def __init__(self, doing: str, files: int) -> None:
        self._doing, self._files = doing, files
        self._done = 0
        self._next = time.monotonic() + SECONDS

    def count(self, results: list[Result]) -> list[Result]:
        """The results, once counted."""
        self._done += len(results)
        if self._doing and time.monotonic() >= self._next:
            log.info("data   %s: %s of %s", self._doing, f"{self._done:,}", f"{self._files:,}")
            self._next = time.monotonic() + SECONDS
        return results

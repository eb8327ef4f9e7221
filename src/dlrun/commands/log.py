"""The log of a command: one line on stderr for each message."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dlrun.errors import cut_message
from dlrun.remote.places import shown_text


@contextmanager
def log_on_stderr(*, quiet: bool) -> Iterator[None]:
    """Print what dlrun logs, or its warnings alone."""
    log = logging.getLogger("dlrun")
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    handler.setFormatter(_BoundedFormatter())
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.raiseExceptions = False  # a full or closed stderr must not end a run
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _BoundedFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return cut_message(shown_text(super().format(record)))

"""Record SIGINT and SIGTERM, so that the program can stop at a safe point.

If a handler raised an error, it could interrupt a training step, or lose a process that is just
being started.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

from dlrun.system.guest import is_guest

_RECORDED: ContextVar[list[int]] = ContextVar("recorded")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def received() -> list[int]:
    """The signals that :func:`record_signals` has recorded for this code."""
    return _RECORDED.get([])


@contextmanager
def record_signals(
    on_first: Callable[[], None] = lambda: None, *, repeatable: bool = False
) -> Iterator[list[int]]:
    """Record SIGINT and SIGTERM; yields the list to which their numbers are appended.

    Handlers can only be installed in the main thread. In other threads signals keep their handlers;
    the list is that of whoever has started the thread and records them, else it stays empty.

    Args:
        on_first: Called for the first signal.
        repeatable: Whether to record a second signal too, rather than end the process. A process
            of the user's is not ended: its own handler gets the second signal.
    """
    recorded: list[int] = []
    previous: dict[int, Any] = {}

    def handle(signum: int, frame: FrameType | None) -> None:
        if recorded and not repeatable:
            own = previous.get(signum) if is_guest() else None
            if callable(own):
                own(signum, frame)
                return
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        recorded.append(signum)
        if len(recorded) == 1:
            on_first()

    if threading.current_thread() is not threading.main_thread():
        yield _RECORDED.get(recorded)
        return
    previous.update({signum: signal.signal(signum, handle) for signum in SIGNALS})
    token = _RECORDED.set(recorded)
    try:
        yield recorded
    finally:
        _RECORDED.reset(token)
        for signum, handler in previous.items():
            signal.signal(signum, handler)

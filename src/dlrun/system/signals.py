"""Signals that ask for an end: noted when they come, and acted upon where it does no harm.

Raised by a handler, an error could cut a training step in two, or lose a process that is just
being started.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def noted(act: Callable[[], None] = lambda: None, *, again: bool = False) -> Iterator[list[int]]:
    """Take SIGINT and SIGTERM as requests; yields the list that their numbers come to.

    Outside the main thread no handler can be installed: there the list stays empty, and signals do
    what they did before.

    Args:
        act: Called with the first.
        again: Whether a second one is a request too, rather than the end of the process.
    """
    heard: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if heard and not again:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        heard.append(signum)
        if len(heard) == 1:
            act()

    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = {signum: signal.signal(signum, note) for signum in SIGNALS}
    try:
        yield heard
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)

"""What ``torchrun`` tells the processes that it starts, and what it leaves to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dlrun.system.passed_file import pass_file
from dlrun.system.shared_object import SharedObject
from dlrun.system.signals import record_signals

RUN_ID = "TORCHELASTIC_RUN_ID"
PLACE = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
STOP_SECONDS = 5.0  # for rank 0 to end its batch, after a signal that all have got


def has_started_this() -> bool:
    """Whether it has started this process: the ID alone, or ranks alone, are left from others."""
    return all(os.environ.get(name, "").isdecimal() for name in PLACE) and RUN_ID in os.environ


def place() -> tuple[int, int, int, int]:
    """This process' rank and its number on this machine, and how many there are of both."""
    rank, local_rank, count, local_count = (int(os.environ[name]) for name in PLACE)
    return rank, local_rank, count, local_count


def shared_object(number: int, count: int, *, seconds: float) -> SharedObject | None:
    """What makes the data set once for this machine; None where each process makes it.

    Args:
        number: This process' number on this machine.
        count: How many there are.
        seconds: How long to wait for the first of them.

    Raises:
        DlrunError: If the first does not come.
    """
    names = (RUN_ID, "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")
    told = [os.environ.get(name, "") for name in names]
    file = pass_file(" ".join([str(os.getppid()), *told]), number, count, seconds=seconds)
    return None if file is None else SharedObject(file, number, count)


@contextmanager
def leave_signals() -> Iterator[None]:
    """Let rank 0 end its batch, as all get the same signals: it would else only lose the others."""

    def end_later() -> None:
        timer = threading.Timer(STOP_SECONDS, os._exit, [1])
        timer.daemon = True
        timer.start()

    with record_signals(end_later, repeatable=True):
        yield

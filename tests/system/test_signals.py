"""Recording SIGINT and SIGTERM."""

import os
import signal
import subprocess
import sys
import threading
from itertools import product

import pytest

from dlrun.system.signals import SIGNALS, record_signals


def handlers() -> list[object]:
    return [signal.getsignal(signum) for signum in SIGNALS]


@pytest.mark.parametrize("signum", SIGNALS)
def test_signals_are_recorded_and_the_handlers_restored(signum: int) -> None:
    before, calls = handlers(), []
    with record_signals(lambda: calls.append(1), repeatable=True) as received:
        assert received == []
        os.kill(os.getpid(), signum)
        os.kill(os.getpid(), signum)
        assert received == [signum, signum]
    assert calls == [1]
    assert handlers() == before


def test_an_error_restores_the_handlers() -> None:
    before = handlers()
    with pytest.raises(ValueError, match="mine"), record_signals():
        raise ValueError("mine")
    assert handlers() == before


@pytest.mark.parametrize(("first", "second"), list(product(SIGNALS, SIGNALS)))
def test_a_second_signal_ends_the_process(first: int, second: int) -> None:
    code = (
        "import os, signal; from dlrun.system.signals import record_signals\n"
        "with record_signals():\n"
        f"    os.kill(os.getpid(), {first:d}); print('received', flush=True)\n"
        f"    os.kill(os.getpid(), {second:d}); print('unreached', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-second, b"received\n")


def test_in_another_thread_no_handler_is_installed() -> None:
    before, seen = handlers(), []

    def work() -> None:
        with record_signals() as received:
            seen.append((handlers(), list(received)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, [])]
    assert handlers() == before

"""Signals as requests."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from dlrun.system.signals import SIGNALS, noted


def handlers() -> list[object]:
    return [signal.getsignal(signum) for signum in SIGNALS]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_is_noted_acted_upon_once_and_the_handlers_are_as_before(signum: int) -> None:
    before, acted = handlers(), []
    with noted(lambda: acted.append(1), again=True) as heard:
        assert heard == []
        os.kill(os.getpid(), signum)
        os.kill(os.getpid(), signum)
        assert heard == [signum, signum]
    assert acted == [1]
    assert handlers() == before


def test_an_error_leaves_the_handlers_as_before() -> None:
    before = handlers()
    with pytest.raises(ValueError, match="mine"), noted():
        raise ValueError("mine")
    assert handlers() == before


def test_a_second_signal_ends_the_process() -> None:
    code = (
        "import os, signal; from dlrun.system.signals import noted\n"
        "with noted():\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('noted', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print('unreached', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"noted\n")


def test_in_another_thread_no_handler_is_installed_and_nothing_fails() -> None:
    before, seen = handlers(), []

    def work() -> None:
        with noted() as heard:
            seen.append((handlers(), list(heard)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, [])]
    assert handlers() == before

"""Real signals to real trainings: Ctrl-C, and the SIGTERM of a scheduler."""

import csv
import itertools
import os
import signal
import subprocess
import time

import pytest

from conftest import COMMAND, slow
from trainings import BACKENDS, worker

ENDLESS = ("epochs=1000", "data.limit=2000", "~callbacks.early_stopping")


@pytest.fixture
def start(dlrun):
    """Starts commands that run until they get a signal."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=dlrun.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(process, words):
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"it ended before {words!r}")


# tests/api/test_resume.py tests SIGTERM in every loop.
ONCE = {("jax", "fit"), ("torch", "raw")}
CROSS = [
    pytest.param(*pair, signal.SIGINT, 130, marks=() if pair in ONCE else pytest.mark.slow)
    for pair in itertools.product(BACKENDS, ("fit", "raw"))
]


TERM = pytest.param("jax", "fit", signal.SIGTERM, 143, marks=pytest.mark.slow)


@pytest.mark.parametrize(("backend", "loop", "signum", "exit_code"), [*CROSS, TERM])
def test_signal_ends_a_run_that_can_be_evaluated(dlrun, start, backend, loop, signum, exit_code):
    process = start("train", f"backend={backend}", f"loop={loop}", "--json", *ENDLESS)
    read_until(process, "epoch  1/1000")
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (exit_code, "")
    assert "Traceback" not in stderr
    run = dlrun.only_run()
    assert "interrupted; the newest checkpoint is of epoch" in stderr
    assert f"resume with: dlrun resume {run.relative_to(dlrun.cwd)}" in stderr
    record = dlrun.record(run)
    assert (record["status"], record["stopped_by"]) == ("interrupted", f"signal {int(signum)}")
    # No file is partial, and checkpoints and table have the same epochs.
    assert not list(run.rglob("*partial*"))
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        last = int(list(csv.DictReader(file))[-1]["epoch"])
    assert (run / "checkpoints" / f"epoch-{last:04d}").is_dir()
    result = worker("jax").evaluate(dlrun.cwd, run, which="last")
    assert result["epoch"] == last


LAST = """
import atexit
import pathlib
import keras

class Last(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        atexit.register(pathlib.Path("last.txt").write_text, "done")
"""


def test_a_signal_does_not_wait_for_dispatched_steps(dlrun, start):
    """On jax there are about 30, which take more than ten seconds."""
    (dlrun.cwd / "my_callbacks.py").write_text(LAST)
    more = ("model=mnist_convnet", "data.limit=20000", "+callbacks.last._target_=my_callbacks.Last")
    process = start("train", "backend=jax", *more)
    read_until(process, "data ")
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, "interrupted" in stderr) == (130, True)
    assert time.monotonic() - began < 5
    assert (dlrun.cwd / "last.txt").read_text() == "done"  # exit handlers have run


SLEEPER = """
import sys, time
import keras

class Sleeper(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        print("asleep", file=sys.stderr, flush=True)
        time.sleep(120)
"""


SECOND = [(signal.SIGINT, signal.SIGTERM), slow(signal.SIGINT, signal.SIGINT)]
SECOND += [slow(signal.SIGTERM, signal.SIGTERM)]


@pytest.mark.parametrize(("first", "second"), SECOND)
def test_second_signal_ends_a_step_that_hangs(dlrun, start, first, second):
    (dlrun.cwd / "my_callbacks.py").write_text(SLEEPER)
    process = start("train", "+callbacks.sleeper._target_=my_callbacks.Sleeper", "smoke=true")
    read_until(process, "asleep")
    process.send_signal(first)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)  # the first signal waits for the step
    process.send_signal(second)
    process.communicate(timeout=10)
    assert process.returncode in (-second, 128 + second)


def test_signal_during_start_leaves_no_run(dlrun, start):
    (dlrun.cwd / "my_data.py").write_text(
        "import sys, time\n"
        "def slow():\n"
        "    time.sleep(3)\n"  # meanwhile the framework is imported
        "    print('reading', file=sys.stderr, flush=True)\n"
        "    time.sleep(2)\n"
    )
    (dlrun.cwd / "configs" / "data").mkdir(parents=True)
    (dlrun.cwd / "configs" / "data" / "slow.yaml").write_text("_target_: my_data.slow\n")
    process = start("train", "data=slow")
    read_until(process, "reading")
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not (dlrun.cwd / "runs").exists()

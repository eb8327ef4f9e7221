"""Runs that validate by the clock: what it decides is written down, and is not decided again."""

import itertools
import json
import shutil
import signal
import subprocess
import sys

import pytest

from dlrun.checkpoints.format import PARTS, read_checkpoint
from dlrun.checkpoints.store import checkpoint_path, list_positions
from dlrun.data.length import ClockedLength, length_of, recorded_length
from dlrun.system.interval import Every
from trainings import BACKENDS, worker

SMALL = (
    "data.limit=400",
    "batch_size=48",
    "model=mnist_mlp_dropout",
    "model.units=16",
    "~callbacks.early_stopping",
    "validate_every=1s",
)
# A step takes as long on any machine, so that there are several validations of several steps.
SLOW = """
import os, signal, time
import keras

class Slow(keras.callbacks.Callback):
    def __init__(self, kill_epoch=0):
        super().__init__()
        self.kill_epoch = kill_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.06)
        if (self.epoch, batch) == (self.kill_epoch, 2):
            os.kill(os.getpid(), signal.SIGKILL)
"""
PACED = (*SMALL, "+callbacks.slow._target_=my_callbacks.Slow")


def clocked(**limits):
    given = {"epochs": None, "max_steps": None, **limits}
    return length_of(400, 48, **given, validate_every=Every(60, "seconds"))


def test_epochs_are_known_once_they_begin():
    length = clocked(max_steps=100)
    assert (length.steps, length.steps_of(0), length.is_known) == (100, 10, False)
    assert length.epochs >= 3  # there may be as many as there are further steps
    assert length.is_open_after(0)
    length.decide(60)
    assert not length.is_open_after(0)  # a resumed run keeps to it
    assert (length.steps_of(1), length.steps_until(2)) == (60, 70)
    length.decide(60)
    assert (length.is_known, length.epochs, length.steps_of(2)) == (True, 3, 30)
    assert (length.is_cut(1), length.is_cut(2)) == (False, True)
    assert not length.is_open_after(2)  # the end of the run cuts it
    short = clocked(max_steps=10)
    assert (short.is_known, short.is_open_after(0)) == (True, True)  # a resumed run may be longer
    assert sum(map(length.samples_of, range(length.epochs))) == length.total


def test_decisions_are_read_as_they_were_written():
    length = clocked(epochs=2.5)
    length.decide(4)
    assert recorded_length(json.loads(json.dumps(length.to_json()))) == length
    assert recorded_length(length.until(1, 3).to_json()).ends == length.ends
    assert recorded_length(length.until(1).to_json()).epochs == 1
    again = clocked(epochs=2.5)
    again.replay(length.ends)
    assert again == length
    again.replay([])
    assert again == length


@pytest.mark.parametrize("ends", [[], [0], [480, 480], ["480"], [480, 2**70], 480, None])
def test_what_are_no_decisions_are_not_read(ends):
    assert recorded_length({**clocked(max_steps=9).to_json(), "ends": ends}) is None
    assert not isinstance(length_of(400, 48, epochs=2, max_steps=None), ClockedLength)


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("loop", ["fit", "train_step", "raw"])
def test_a_run_killed_and_resumed_validates_where_it_would_have(tmp_path, backend, loop):
    (tmp_path / "my_callbacks.py").write_text(SLOW)
    words = (*PACED, f"loop={loop}", "checkpoint.every=2")
    if (backend, loop) == ("tensorflow", "raw"):
        words = (*words, "loop.compile=graph")
    run = killed(
        tmp_path, f"backend={backend}", *words, "max_steps=40", "+callbacks.slow.kill_epoch=3"
    )
    ends = decided(run)
    assert len(ends) == 3  # on disk before the epoch begins
    assert list_positions(run / "checkpoints")[-1] == (2, 2)
    short = worker(backend).resume(tmp_path, run, "callbacks.slow.kill_epoch=0")
    assert (short["steps"], decided(run)[:3]) == (40, ends)
    resumed = worker(backend).resume(tmp_path, run, "max_steps=55")
    steps = [row["step"] for row in resumed["rows"]]
    assert steps[0] == 10
    assert all(row["samples"] == 48 * row["step"] for row in resumed["rows"])
    # Of 0.06 s and more, so that at most 17 are in a second.
    assert all(1 <= after - before <= 17 for before, after in itertools.pairwise(steps))
    assert len(steps) >= 4

    # The same run from its beginning, without any checkpoint: by what was decided.
    other = run.with_name("again")
    shutil.copytree(run, other)
    shutil.rmtree(other / "checkpoints")
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    again = worker(backend).resume(tmp_path, other)
    assert [{**row, "seconds": 0} for row in again["rows"]] == [
        {**row, "seconds": 0} for row in resumed["rows"]
    ]
    for at in list_positions(run / "checkpoints")[-2:]:
        assert arrays(other, at) == arrays(run, at)


@pytest.mark.trains
def test_a_run_that_ends_with_an_epoch_goes_on_by_the_clock(tmp_path):
    (tmp_path / "my_callbacks.py").write_text(SLOW)
    run = tmp_path / worker("torch").train(tmp_path, *PACED, "max_steps=10")["run_dir"]
    resumed = worker("torch").resume(tmp_path, run, "max_steps=40")
    steps = [row["step"] for row in resumed["rows"]]
    assert (steps[0], steps[-1]) == (10, 40)
    assert len(steps) <= 7  # not one for each step


def killed(cwd, *words):
    done = subprocess.run(
        [sys.executable, "-m", "dlrun", "train", *words, "--quiet"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    [run] = cwd.glob("runs/*/*")
    return run


def decided(run):
    return json.loads((run / "run.json").read_text())["length"]["ends"]


def arrays(run, at):
    saved = read_checkpoint(checkpoint_path(run / "checkpoints", at))
    return [(part, v.value.tobytes()) for part in PARTS for v in getattr(saved, part)]

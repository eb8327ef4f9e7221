"""dlrun launch: what the clock decides is the same in all processes, and is not decided again."""

import csv
import itertools
import json
import shutil

import pytest

from dlrun.checkpoints.format import PARTS, read_checkpoint
from dlrun.checkpoints.store import checkpoint_path, list_positions
from launches import start_launchers

# A step takes as long on any machine. Only rank 0 has callbacks that write: in the raw loop of jax,
# they alone would change how many steps are one call.
SLOW = """
import os, signal, time
import keras

class Slow(keras.callbacks.Callback):
    takes_tensors = True
    batch_interval = 16

    def __init__(self, kill_epoch=0, ranks="1"):
        super().__init__()
        self.kill_epoch, self.ranks = kill_epoch, ranks

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.done = epoch + 1, 0

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.05 * (batch + 1 - self.done))
        self.done = batch + 1
        is_meant = os.environ.get("DLRUN_RANK", "0") in self.ranks
        if is_meant and self.epoch == self.kill_epoch and batch >= 3:
            os.kill(os.getpid(), signal.SIGKILL)
"""
RUN = (
    "model=mnist_mlp_dropout", "data=sklearn", "data.name=digits", "data.limit=200",
    "batch_size=24", "device=cpu", "distribution=data_parallel", "~callbacks.early_stopping",
    "validate_every=1s", "callbacks.checkpoint.every=1s",
    "+callbacks.slow._target_=my_callbacks.Slow",
)  # fmt: skip


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "loop", "killed"),
    [("jax", "raw", "1"), ("jax", "fit", "01"), ("torch", "fit", "1"), ("torch", "raw", "01")],
)
def test_a_run_killed_and_resumed_is_that_which_its_decisions_say(tmp_path, backend, loop, killed):
    (tmp_path / "my_callbacks.py").write_text(SLOW)
    train = ("train", f"backend={backend}", *RUN, f"loop={loop}", "max_steps=60")
    die = ("+callbacks.slow.kill_epoch=0", f"+callbacks.slow.ranks='{killed}'")
    # Of rank 0 alone, which ends the others.
    said = launched(tmp_path, *train, *die, "max_time=0.001s")
    [run] = tmp_path.glob("runs/*/*")
    way_on = f"-- resume {run.relative_to(tmp_path)} max_time=0.002s"
    assert f"to go on: dlrun launch --nodes 2 ... --per-node 1 {way_on}" in said[0]
    assert record(run)["stopped_by"] == "max_time" and record(run)["epochs"] == 1
    kills = ("max_time=1h", "callbacks.slow.kill_epoch=3")
    launched(tmp_path, "resume", str(run), *kills, "--trust", "my_callbacks", code=1)
    ends = record(run)["length"]["ends"]
    assert len(ends) >= 3  # written down before the epoch begins
    goes_on = ("callbacks.slow.kill_epoch=0", "--trust", "my_callbacks")
    launched(tmp_path, "resume", str(run), *goes_on)
    assert record(run)["length"]["ends"][: len(ends)] == ends
    rows = rows_of(run)
    steps = [row["step"] for row in rows]
    assert (steps[0], steps[-1]) == (10, 60) and len(steps) >= 4
    # Of 0.05 s and more, so that at most 20 are in a second.
    assert all(1 <= after - before <= 21 for before, after in itertools.pairwise(steps))

    # The same run from its beginning, without any checkpoint: by what was decided.
    again = run.with_name("again")
    shutil.copytree(run, again)
    shutil.rmtree(again / "checkpoints")
    (again / "run.json").write_text(json.dumps({**record(again), "status": "interrupted"}))
    launched(tmp_path, "resume", str(again), "--trust", "my_callbacks")
    assert [{**row, "seconds": 0} for row in rows_of(again)] == [
        {**row, "seconds": 0} for row in rows
    ]
    last = list_positions(run / "checkpoints")[-1]
    assert arrays(again, last) == arrays(run, last)


def launched(cwd, *words, code=0):
    launchers = start_launchers(cwd, *words)
    said = [launcher.communicate(timeout=200)[1] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [code, code], said
    return said


def record(run):
    return json.loads((run / "run.json").read_text())


def rows_of(run):
    with (run / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def arrays(run, at):
    saved = read_checkpoint(checkpoint_path(run / "checkpoints", at))
    return [(part, v.value.tobytes()) for part in PARTS for v in getattr(saved, part)]

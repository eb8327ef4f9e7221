"""A run is also written to the trackers that its config names, and none of them can harm it."""

import csv
import json
import pickle
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import eventually

COMMAND = Path(sys.executable).with_name("dlrun")
SMALL = ("model=linear_classifier", "batch_size=32")
# A tracker of the user's own: a line of JSON for each call.
OWN = """
import json, os, time
from pathlib import Path
from dlrun.trackers.protocol import Tracker

class Lines(Tracker):
    calls = 0

    def write(self, kind, **values):
        with open("lines.jsonl", "a") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\\n")

    def start_sweep(self, run):
        self.write("sweep", name=run.sweep.name)
        return "parent-7"

    def start(self, run):
        self.write("start", name=run.name, id=run.id, resumes=run.resumes, parent=run.parent,
                   tags=run.tags, epochs=run.parameters["epochs"], model=run.parameters["model"])
        return run.id or f"own-{os.getpid()}", "lines.jsonl"

    def log(self, rows):
        self.calls += 1
        for row in rows:
            self.write("row", step=row.step, values=row.values, call=self.calls)

    def finish(self, outcome):
        self.write("finish", status=outcome.status, results=outcome.results,
                   files={name: path.name for name, path in outcome.files.items()})

class Waits(Lines):
    def log(self, rows):
        while not Path("go").exists():
            time.sleep(0.01)
        super().log(rows)

class Fails(Lines):
    def __init__(self, at, **common):
        super().__init__(**common)
        self.at = at

    def fail(self, method):
        if self.at == method:
            raise RuntimeError(f"no {method} today")
        if self.at == f"exit in {method}":
            os._exit(3)

    def start(self, run):
        self.fail("start")
        return super().start(run)

    def log(self, rows):
        self.fail("log")

    def finish(self, outcome):
        self.fail("finish")
"""


def own(dlrun, name="Lines", **options):
    """The override that chooses a tracker of the user's own."""
    (dlrun.cwd / "own_tracker.py").write_text(OWN)
    spec = {"_target_": f"own_tracker.{name}", **options}
    arguments = ", ".join(f"{key}: {value}" for key, value in spec.items())
    return f"+tracker={{own: {{{arguments}}}}}"


def lines(dlrun, kind):
    """What the tracker of the user's own was told."""
    path = dlrun.cwd / "lines.jsonl"
    told = map(json.loads, path.read_text().splitlines() if path.exists() else [])
    return [line for line in told if line["kind"] == kind]


def epochs_of(run):
    with (run / "metrics.csv").open() as file:
        rows = [{n: float(v) for n, v in row.items()} for row in csv.DictReader(file)]
    return [
        {n: v for n, v in row.items() if n not in ("epoch", "step", "samples", "seconds")}
        for row in rows
    ]


@pytest.mark.trains
@pytest.mark.parametrize(
    ("backend", "loop"), [("jax", "raw"), ("tensorflow", "fit"), ("torch", "train_step")]
)
def test_a_tracker_gets_each_epoch_batches_and_the_results(dlrun, backend, loop):
    result = dlrun.warm(
        *(backend, "train", *SMALL, f"loop={loop}", "epochs=2", own(dlrun, every_steps=10))
    )
    run = dlrun.path(result)
    [start], [finish] = lines(dlrun, "start"), lines(dlrun, "finish")
    assert (start["name"], start["model"], start["epochs"]) == (run.name, "linear_classifier", 2)
    assert {"backend": backend, "loop": loop}.items() <= start["tags"].items()
    rows = lines(dlrun, "row")
    values = [row["values"] for row in rows if "loss" in row["values"]]
    assert values == [pytest.approx(row, abs=1e-6) for row in epochs_of(run)]
    batches = [row["step"] for row in rows if "batch/loss" in row["values"]]
    # An epoch has 57 steps. The raw loop takes several in one call, and has values at its end.
    multiples = list(range(10, 2 * 57, 10))
    if loop == "raw":
        assert all(n <= step < n + 10 for n, step in zip(multiples, batches, strict=True))
    else:
        assert sorted(batches) == multiples  # hooks are called from several threads
    assert finish["status"] == "completed"
    assert finish["results"]["test/loss"] == result["test"]["loss"]
    assert finish["files"]["checkpoint"] == f"epoch-{result['best_epoch']:04d}"
    assert dlrun.record(run)["trackers"]["own"].startswith("own-")


@pytest.mark.trains
def test_a_killed_run_is_ended_in_its_tracker_and_resumes_there(dlrun):
    command = [COMMAND, "train", *SMALL, "epochs=500", "~callbacks.early_stopping"]
    with subprocess.Popen([*command, own(dlrun)], cwd=dlrun.cwd, stderr=subprocess.DEVNULL) as run:
        eventually(lambda: len(list(dlrun.cwd.glob("runs/*/*/checkpoints/epoch-*"))) > 1)
        run.send_signal(signal.SIGKILL)
    eventually(lambda: lines(dlrun, "finish"))
    [run] = dlrun.cwd.glob("runs/*/*")
    known = dlrun.record(run)["trackers"]["own"]
    trained = lines(dlrun, "row")[-1]["step"]
    words = ("resume", "latest", f"epochs={trained + 2}", "--trust", "own_tracker")
    done = dlrun.within("jax", *words)
    assert done.returncode == 0, done.stderr
    assert [line["status"] for line in lines(dlrun, "finish")] == ["killed", "completed"]
    first, second = lines(dlrun, "start")
    assert (first["id"], first["resumes"]) == (None, False)
    assert (second["id"], second["resumes"]) == (known, True)
    assert lines(dlrun, "row")[-1]["step"] == trained + 2


# What a run tells its trackers, told by itself: a kill between any two messages, without training.
TELL = """
import os, pickle, sys, time
from dlrun.trackers.client import Tracking
from dlrun.trackers.mlflow import MLflow
from dlrun.trackers.protocol import Outcome
from dlrun.trackers.tensorboard import TensorBoard
from dlrun.trackers.wandb import WandB
from own_tracker import Lines

if __name__ == "__main__":
    name, run, first, last, ends, pause = pickle.loads(bytes.fromhex(sys.argv[1]))
    kind = {"own": Lines, "mlflow": MLflow, "tensorboard": TensorBoard, "wandb": WandB}[name]
    tracking = Tracking({name: kind(every_steps=1)}, run, {})
    for step in range(first, last + 1):
        time.sleep(pause)
        tracking.log(step, {"batch/loss": 1 / step}, (1,))
        if step % 10 == 0:
            tracking.log(step // 10, {"loss": 1 / step})
    if ends:
        tracking.finish(Outcome("completed", {"test/loss": 0.1}))
    else:
        while tracking._queue.qsize():
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), 9)
"""


def tell(dlrun, first, last, *, ends, tracker="own", pause=0, **run):
    """Tell a tracker of the steps of a run, ten an epoch, and kill it or end it.

    Pause for some seconds before each step.
    """
    from dlrun.trackers.protocol import TrackedRun

    own(dlrun)
    directory = dlrun.cwd / "runs/model/first"
    directory.mkdir(parents=True, exist_ok=True)
    parameters = {"epochs": 4, "model": "model"}
    told = TrackedRun("first", "model", directory, dlrun.cwd / "runs", parameters, {}, **run)
    (dlrun.cwd / "tell.py").write_text(TELL)
    message = pickle.dumps((tracker, told, first, last, ends, pause)).hex()
    subprocess.run([sys.executable, "tell.py", message], cwd=dlrun.cwd, check=ends)


def test_a_resumed_run_tells_no_point_twice(dlrun):
    tell(dlrun, 1, 27, ends=False)
    # At once, while the process of the killed run still tells what it was told.
    tell(dlrun, 21, 40, ends=True, resumes=True, repeats=True)
    steps, epochs = list(range(1, 41)), list(range(1, 5))
    rows = lines(dlrun, "row")
    assert [row["step"] for row in rows if "batch/loss" in row["values"]] == steps
    assert [row["step"] for row in rows if "loss" in row["values"]] == epochs
    assert [line["status"] for line in lines(dlrun, "finish")] == ["killed", "completed"]


def test_rows_are_collected_as_each_call_of_a_tracker_costs(dlrun):
    tell(dlrun, 1, 20, ends=True, pause=0.03)
    rows = lines(dlrun, "row")
    assert [row["step"] for row in rows if "batch/loss" in row["values"]] == list(range(1, 21))
    assert len({row["call"] for row in rows}) < 4


def test_a_run_resumed_with_changes_hides_in_tensorboard_what_it_tells_again(dlrun):
    tell(dlrun, 1, 40, ends=False, tracker="tensorboard")
    tell(dlrun, 21, 40, ends=True, tracker="tensorboard", resumes=True)
    events = dlrun.cwd / "runs/model/first/tensorboard"
    # From where the points before are hidden: the batches by steps, the epochs by epochs from 0.
    assert [e.step for e in events_in(events / "batches") if e.HasField("session_log")] == [21]
    assert [e.step for e in events_in(events / "train") if e.HasField("session_log")] == [2]


@pytest.mark.slow  # MLflow makes a database
def test_a_run_that_its_sweep_tries_again_is_in_mlflow_once(dlrun):
    pytest.importorskip("mlflow")
    sweep = dlrun.cwd / "runs/model"
    sweep.mkdir(parents=True)
    tell(dlrun, 1, 3, ends=False, tracker="mlflow", sweep=sweep)
    # A run without a checkpoint is made anew: it resumes nothing, and its record is gone.
    shutil.rmtree(sweep / "first")
    tell(dlrun, 1, 10, ends=True, tracker="mlflow", sweep=sweep)
    with sqlite3.connect(dlrun.cwd / "runs/mlflow.db") as database:
        runs = database.execute("SELECT name, status FROM runs ORDER BY name").fetchall()
        [(last,)] = database.execute("SELECT MAX(step) FROM metrics WHERE key = 'batch/loss'")
    assert runs == [("first", "FINISHED"), ("model", "FINISHED")]
    assert last == 10


def test_wandb_sync_appends_a_resumed_run_to_the_run_that_it_sent(dlrun):
    pytest.importorskip("wandb")
    tell(dlrun, 1, 1, ends=True, tracker="wandb")
    tell(dlrun, 2, 2, ends=True, tracker="wandb", resumes=True, repeats=True)
    first, second = sorted(dlrun.cwd.glob("runs/wandb/offline-run-*-first/*.wandb"))
    # wandb sync asks the server where such a run ended; else it starts it anew.
    for path, resumes, row in ((first, False, 0), (second, True, 1)):
        found = wandb_records(path)
        assert next(r.run.resume for r in found if r.HasField("run")) == resumes
        # Its rows are counted from those of the part before.
        assert [r.history.step.num for r in found if r.HasField("history")] == [row]


def test_wandb_sync_sends_only_the_last_attempt_of_a_run_that_its_sweep_tries_again(dlrun):
    pytest.importorskip("wandb")
    sweep = dlrun.cwd / "runs/model"
    sweep.mkdir(parents=True)
    tell(dlrun, 1, 3, ends=True, tracker="wandb", sweep=sweep)
    shutil.rmtree(sweep / "first")
    tell(dlrun, 1, 1, ends=True, tracker="wandb", sweep=sweep)
    [path] = dlrun.cwd.glob("runs/wandb/offline-run-*-first/*.wandb")
    assert [r.history.step.num for r in wandb_records(path) if r.HasField("history")] == [0]


def wandb_records(path):
    """The records in a file of W&B, with a checksum and a length each."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, found = path.read_bytes(), 7, []
    while length := int.from_bytes(content[at + 4 : at + 6], "little"):
        found.append(Record.FromString(content[at + 7 : at + 7 + length]))
        at += 7 + length
    return found


@pytest.mark.trains
def test_the_runs_of_a_sweep_have_one_parent(dlrun):
    done = dlrun("sweep", *SMALL, "epochs=1", "seed=1,2", own(dlrun), "--jobs", "1")
    assert done.returncode == 0, done.stderr
    [sweep] = lines(dlrun, "sweep")
    starts = lines(dlrun, "start")
    assert {start["parent"] for start in starts} == {"parent-7"}
    assert {start["name"] for start in starts} == {f"{sweep['name']}-{n}" for n in (0, 1)}


@pytest.mark.trains
def test_training_does_not_wait_for_a_tracker(dlrun):
    command = [COMMAND, "train", *SMALL, "epochs=3", own(dlrun, "Waits")]
    with subprocess.Popen(command, cwd=dlrun.cwd, stdout=subprocess.DEVNULL) as run:
        # The tracker is in its first call until the last epoch has been trained.
        eventually(lambda: list(dlrun.cwd.glob("runs/*/*/checkpoints/epoch-0003")))
        assert not lines(dlrun, "row")
        (dlrun.cwd / "go").touch()
        assert run.wait() == 0
    assert [row["step"] for row in lines(dlrun, "row")] == [1, 2, 3]


@pytest.mark.trains
@pytest.mark.parametrize("at", ["start", "log", "finish", "exit in log"])
def test_a_tracker_that_fails_fails_no_run(dlrun, at):
    done = dlrun.within("torch", "train", *SMALL, "epochs=2", own(dlrun, "Fails", at=f"'{at}'"))
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "the run goes on without it" in line]
    reason = "its process has ended" if "exit" in at else f"RuntimeError: no {at} today"
    assert len(told) == 1
    assert reason in told[0]
    assert dlrun.record(dlrun.only_run())["status"] == "completed"


def test_a_wrong_tracker_stops_before_anything_starts(dlrun):
    for words, reason in (
        (["tracker=mlflow", "tracker.mlflow.every_steps=0"], "every_steps=0: expected a number"),
        (["tracker=mlflow", "tracker.mlflow.artifacts=[plot]"], "no 'plot'; there are checkpoint"),
        (["tracker=wandb", "tracker.wandb.mode=on"], "mode='on': expected online, offline"),
    ):
        done = dlrun.here("train", *SMALL, *words)
        assert done.returncode == 2
        assert reason in done.stderr
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.trains
def test_mlflow_wandb_and_tensorboard_keep_a_run_beside_it(dlrun):
    trackers = "tracker=[mlflow,wandb,tensorboard]"
    words = ("train", *SMALL, "epochs=2", trackers, "tracker.mlflow.every_steps=10")
    result, run = dlrun.warm("jax", *words), dlrun.only_run()
    ids = dlrun.record(run)["trackers"]
    assert {path.name for path in dlrun.cwd.iterdir()} == {"runs"}
    with sqlite3.connect(dlrun.cwd / "runs/mlflow.db") as database:
        [(identity, status)] = database.execute("SELECT run_uuid, status FROM runs")
        assert (identity, status) == (ids["mlflow"], "FINISHED")
        parameters = dict(database.execute("SELECT key, value FROM params"))
        assert (parameters["epochs"], parameters["model"]) == ("2", "linear_classifier")
        losses = "SELECT step, value FROM metrics WHERE key = 'val_loss' ORDER BY step"
        expected = {n: row["val_loss"] for n, row in enumerate(epochs_of(run), 1)}
        assert dict(database.execute(losses)) == pytest.approx(expected)
        [(test,)] = database.execute("SELECT value FROM metrics WHERE key = 'test/loss'")
        assert test == pytest.approx(result["test"]["loss"])
    kept = dlrun.cwd / f"runs/mlflow-artifacts/{ids['mlflow']}/artifacts"
    best = run / f"checkpoints/epoch-{result['best_epoch']:04d}/arrays.npz"
    assert (kept / "checkpoint/arrays.npz").read_bytes() == best.read_bytes()
    [offline] = (dlrun.cwd / "runs/wandb").glob(f"offline-run-*-{run.name}/*.wandb")
    content = offline.read_bytes()
    assert all(name in content for name in (b"val_loss", b"test/loss", b"learning_rate"))
    curves = points(run / "tensorboard/validation")
    values = {(tag, step): value for tag, step, value in curves}
    assert values["epoch_loss", 1] == pytest.approx(epochs_of(run)[1]["val_loss"], rel=1e-6)


def points(directory):
    """The scalars of the event files in a directory: tag, step and value."""
    for event in events_in(directory):
        for value in event.summary.value:
            yield value.tag, event.step, value.simple_value


def events_in(directory):
    """The events of the event files in a directory, in the order of the files."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(path for path in directory.iterdir() if path.is_file()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            [length] = struct.unpack_from("<Q", content, at)
            yield Event.FromString(content[at + 12 : at + 12 + length])
            at += 16 + length

"""A run is also written to the trackers that its config names, and none of them can harm it."""

import csv
import json
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
        for row in rows:
            self.write("row", step=row.step, values=row.values)

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
    done = dlrun("resume", "latest", f"epochs={trained + 2}", "--trust", "own_tracker")
    assert done.returncode == 0, done.stderr
    assert [line["status"] for line in lines(dlrun, "finish")] == ["killed", "completed"]
    first, second = lines(dlrun, "start")
    assert (first["id"], first["resumes"]) == (None, False)
    assert (second["id"], second["resumes"]) == (known, True)
    assert lines(dlrun, "row")[-1]["step"] == trained + 2


@pytest.mark.trains
def test_the_runs_of_a_sweep_have_one_parent(dlrun):
    done = dlrun("sweep", *SMALL, "epochs=1", "seed=1,2", own(dlrun), "--jobs", "2")
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
    done = dlrun("train", *SMALL, "epochs=2", own(dlrun, "Fails", at=f"'{at}'"))
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
        done = dlrun("train", *SMALL, *words)
        assert done.returncode == 2
        assert reason in done.stderr
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.trains
def test_mlflow_wandb_and_tensorboard_keep_a_run_beside_it(dlrun):
    trackers = "tracker=[mlflow,wandb,tensorboard]"
    done = dlrun("train", *SMALL, "epochs=2", trackers, "tracker.mlflow.every_steps=10", "--json")
    assert done.returncode == 0, done.stderr
    result, run = json.loads(done.stdout), dlrun.only_run()
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
    [events] = (run / "tensorboard/validation").iterdir()
    points = {(tag, step): value for tag, step, value in scalars(events)}
    assert points["epoch_loss", 1] == pytest.approx(epochs_of(run)[1]["val_loss"], rel=1e-6)


def scalars(path):
    """The scalars of an event file: tag, step and value."""
    from tensorboardX.proto.event_pb2 import Event

    content, at = path.read_bytes(), 0
    while at < len(content):
        [length] = struct.unpack_from("<Q", content, at)
        event = Event.FromString(content[at + 12 : at + 12 + length])
        at += 16 + length
        for value in event.summary.value:
            yield value.tag, event.step, value.simple_value

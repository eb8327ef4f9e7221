"""What dlrun launch prints and does while an engine runs the processes: here one of its own."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dlrun.config.project import HERE
from dlrun.errors import DlrunError
from dlrun.runs.launches import why_ended
from dlrun.runs.status import is_locked
from dlrun.workers.launch.engine import EngineRequest, launch_by_engine
from dlrun.workers.launch.follow import State
from dlrun.workers.launch.plan import Plan
from dlrun.workers.launch.run import Command

JOB = """
import json, sys, time
from pathlib import Path
folder, ends = Path(sys.argv[1]), sys.argv[2]
(folder / "stdout").write_text('{"test"')
(folder / "stderr").write_text("epoch 1/2\\n")
until = time.monotonic() + 20
while ends == "stop" and time.monotonic() < until and not (folder / "stop").exists():
    time.sleep(0.05)
with (folder / "stdout").open("a") as out:
    out.write(": 1}\\n")
if ends == "lost":
    sys.exit(1)
code = int((folder / "stop").read_text()) + 128 if ends == "stop" else int(ends)
(folder / "ended.json").write_text(json.dumps({"code": code}))
"""


class Engine:
    """Runs one process, which ends as it is asked to."""

    def __init__(self, ends, waits=False, left=False):
        self.ends, self.waits, self.left = ends, waits, left
        self.cancelled, self.closed = False, False
        self.process = None

    def submit(self, folder, plan):
        self.folder = folder
        if not self.waits:
            self.process = subprocess.Popen([sys.executable, "-c", JOB, folder, self.ends])
        return "job 7"

    def state(self):
        self.locked = is_locked(self.folder)
        if self.cancelled or (self.process and self.process.poll() is not None):
            return State("ended", "FAILED")
        return State("waiting", " (Resources)") if self.waits else State("running", " on n1")

    def cancel(self):
        self.cancelled = True

    def close(self):
        self.closed = True
        if self.process and not self.left:
            self.process.wait()


@pytest.fixture
def follow(tmp_path, monkeypatch):
    """Follows a launch by an engine; returns its exit code and what it has written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dlrun.workers.launch.follow.LATE_SECONDS", 0.5)

    def run(engine, detach=False, out=None):
        monkeypatch.setattr(EngineRequest, "engine", lambda _: engine)
        plan = Plan(2, 1, 0, "127.0.0.1", 0, 0, 60.0, ("resume", "latest"))
        asked = EngineRequest("slurm", [], 2, "--slurm nodes=2", detach)
        out = out or io.BytesIO()
        code = launch_by_engine(plan, Command("resume", [], HERE), asked, out)
        return code, getattr(out, "getvalue", bytes)().decode()

    return run


@pytest.mark.parametrize("code", [0, 1])
def test_it_prints_what_the_run_prints_and_ends_with_its_code(follow, capfd, caplog, code):
    engine = Engine(str(code))
    with caplog.at_level("INFO"):
        assert follow(engine) == (code, '{"test": 1}\n')
    assert "epoch 1/2" in capfd.readouterr().err
    assert "launch job 7, 2 machines with 1 process each" in caplog.text
    assert "launch job 7 is running on n1" in caplog.text
    assert engine.closed and not engine.cancelled
    assert engine.locked  # which keeps dlrun clean away


def test_a_run_does_not_end_with_who_reads_its_output(follow):
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb", buffering=0) as out:
        assert follow(Engine("0"), out=out) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_at_the_end_of_its_batch(follow, number):
    engine = Engine("stop")
    threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
    code, _ = follow(engine)
    assert code == 128 + number and not engine.cancelled


def test_one_that_waits_is_cancelled_by_a_signal(follow):
    engine = Engine("0", waits=True)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert follow(engine) == (130, "")
    assert engine.cancelled and engine.closed
    assert why_ended(engine.folder) == "a launch that has ended, with exit code 130"


def test_one_that_the_engine_has_lost_is_an_error_that_names_its_files(follow):
    engine = Engine("lost")
    with pytest.raises(DlrunError, match="job 7 has ended: FAILED") as lost:
        follow(engine)
    assert lost.value.exit_code == 1
    assert str(engine.folder) in lost.value.hint and engine.closed
    assert why_ended(engine.folder) == "a launch that has ended, with exit code 1"


def test_what_the_engine_refuses_leaves_nothing(follow, tmp_path):
    class Refusing(Engine):
        def submit(self, folder, plan):
            assert (folder / "request.json").is_file()
            raise DlrunError("Slurm refuses the job: no such partition")

    runs = tmp_path / "runs"
    for before in ([], [runs]):  # a folder of the user's stays
        with pytest.raises(DlrunError, match="no such partition"):
            follow(Refusing("0"))
        assert list(tmp_path.rglob("*")) == before
        runs.mkdir(exist_ok=True)


def test_detached_it_returns_at_once_and_names_the_folder(follow, caplog):
    engine = Engine("stop", left=True)
    with caplog.at_level("INFO"):
        assert follow(engine, detach=True) == (0, "")
    assert str(engine.folder) in caplog.text
    assert engine.folder.parent == Path("runs/launches").absolute()
    (engine.folder / "stop").write_text("2")
    engine.process.wait()

"""Sweeps through the installed command: equal to single runs, and resumable."""

import csv
import json
import os
import pty
import re
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import COMMAND, eventually, slow
from dlrun.checkpoints.format import PARTS, read_checkpoint
from dlrun.checkpoints.store import checkpoint_path, list_positions
from dlrun.sweeps.pool import Pool, Rules
from dlrun.workers.client import Worker
from dlrun.workers.key import ProcessKey
from trainings import BACKENDS

MODULE = """
import os, signal, sys, time
from pathlib import Path

import keras
from keras import layers

from dlrun.api.annotate import tag


def net(input_shape, num_classes, *, units):
    Path("pids").open("a").write(f"{keras.backend.backend()} {os.getpid()}\\n")
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Flatten(),
        layers.Dense(units, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.Dropout(0.3, seed=7),
        layers.Dense(num_classes),
    ])


class Trouble(keras.callbacks.Callback):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def on_train_batch_begin(self, batch, logs=None):
        if self.how == "slow" and not Path("go").exists():
            time.sleep(0.2)
        if batch != 3:
            return
        if self.how == "raise":
            raise ValueError("no such thing\\nat all")
        if self.how == "exit":
            sys.exit(3)
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "memory":
            raise MemoryError("Unable to allocate 9 TiB")
        if self.how == "hang":
            print("{not an answer}")
            time.sleep(1000)
        if self.how == "once" and not Path("once").exists():
            Path("once").touch()
            [run] = Path("runs/sweeps").glob("*/0")
            tag(run, ["odd"], note="fails at first")  # as by dlrun tag
            raise ValueError("this once")
"""
TINY = ("data.limit=300", "batch_size=64", "epochs=2", "model._target_=my_parts.net")
TROUBLE = "+callbacks.trouble._target_=my_parts.Trouble"


@pytest.fixture(autouse=True)
def module(tmp_path):
    (tmp_path / "my_parts.py").write_text(MODULE)


def last_checkpoint(run: Path) -> list[tuple[str, bytes]]:
    """The named arrays of a run's last checkpoint, and its history."""
    at = list_positions(run / "checkpoints")[-1]
    saved = read_checkpoint(checkpoint_path(run / "checkpoints", at))
    arrays = [(v.path, v.value.tobytes()) for part in PARTS for v in getattr(saved, part)]
    return [*arrays, ("history", json.dumps(saved.state["history"]).encode())]


def workers_of(sweep: Path) -> list[int]:
    """The ids of the processes that write to this sweep's logs."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            target = str((process / "fd" / "2").readlink())
        except OSError:
            continue
        if target.startswith(str(sweep / "workers")):
            pids.append(int(process.name))
    return pids


def test_a_dead_worker_can_be_stopped(tmp_path):
    """As after Ctrl-C while a run is killed: the cause of death is still reported."""
    worker = Worker(ProcessKey("jax", "cpu", "float32", False, "auto"), 0, 1, tmp_path / "log")
    os.kill(worker._process.pid, signal.SIGKILL)
    eventually(worker.has_exited)
    worker.stop(0)
    worker.stop(0)
    assert worker.has_exited()
    assert "killed by SIGKILL" in worker.close()


def test_a_pool_closes_its_selector(tmp_path):
    pool = Pool(Rules(1), tmp_path, lambda job: None)
    assert pool._selector.get_map() is not None
    pool.run([])
    assert pool._selector.get_map() is None  # closed


def the_sweep(dlrun) -> Path:
    [sweep] = dlrun.cwd.glob("runs/sweeps/*")
    return sweep


@pytest.mark.parametrize("backends", [("jax", "torch"), slow(BACKENDS)], ids=len)
def test_runs_in_reused_workers_equal_single_runs(dlrun, backends):
    """Bit for bit, on each backend, after other runs in the same process, with dropout."""
    result = dlrun.json(
        "sweep",
        *(f"backend={','.join(backends)}", "name=a,b", "model.units=24,16", *TINY),
        *("--jobs", "1"),
    )
    sweep = dlrun.cwd / result["sweep_dir"]
    runs = {tuple(run["differs"].values()): run for run in result["runs"]}
    assert [run["status"] for run in result["runs"]] == ["completed"] * 4 * len(backends)
    for backend in backends:
        single = dlrun.warm(backend, "train", "model.units=24", "name=c", *TINY)
        for name in ("a", "b"):  # the first and the third of their process
            run = runs[backend, name, "24"]
            assert last_checkpoint(dlrun.path(run)) == last_checkpoint(dlrun.path(single))
            for key in ("train", "validation", "test", "best_epoch", "stopped_by"):
                assert run[key] == single[key]
        assert set(run) == set(single) | {"overrides", "differs"}
        second, fourth = (dlrun.path(runs[backend, name, "16"]) for name in ("a", "b"))
        assert last_checkpoint(second) == last_checkpoint(fourth)
    lines = (dlrun.cwd / "pids").read_text().splitlines()
    assert len(set(lines[: len(runs)])) == len(backends), "a process for each backend"
    started = {dlrun.record(dlrun.path(run))["started"]: run["backend"] for run in result["runs"]}
    order = list(dict.fromkeys(started[time] for time in sorted(started)))
    assert order == list(reversed(backends)), "the longest start first"

    assert result["best"]["run_dir"] == result["ranking"][0]["run_dir"]
    values = [run["value"] for run in result["ranking"]]
    assert values == sorted(values)
    with (sweep / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [Path(r["run_dir"]).name for r in result["ranking"]]
    assert {"backend", "model.units", "first step s", "step ms", "MB"} <= set(rows[0])
    record = dlrun.parse((sweep / "sweep.json").read_text())
    assert record["best"] == result["best"]
    run = dlrun.path(result["best"])
    assert dlrun.record(run)["command"] == ["dlrun", "train", *result["best"]["overrides"]]
    assert "INFO epoch  2/2" in (run / "dlrun.log").read_text()

    # All runs are done: nothing starts, and the table fits 80 columns.
    again = dlrun("sweep", "--resume", sweep)
    assert again.returncode == 0
    assert f"{len(runs)} completed, 0 failed" in again.stdout
    assert max(map(len, again.stdout.splitlines()[: len(runs) + 2])) <= 80
    assert (dlrun.cwd / "pids").read_text().splitlines() == lines


def test_a_run_that_fails_fails_alone(dlrun):
    hows = ["none", "raise", "exit", "memory", "again", "kill", "hang", "last"]
    done = dlrun(
        *("sweep", TROUBLE, f"+callbacks.trouble.how={','.join(hows)}", "model.units=16", *TINY),
        *("--jobs", "1", "--timeout", "15", "--json"),
    )
    assert done.returncode == 1
    assert "error: 5 of 8 runs failed" in done.stderr
    result = dlrun.parse(done.stdout)
    runs = dict(zip(hows, result["runs"], strict=True))
    errors = {
        "raise": "the run failed: ValueError: no such thing",
        "exit": "SystemExit: 3",
        "memory": "the run failed: MemoryError: Unable to allocate 9 TiB",
        "kill": "its process was killed by SIGKILL, perhaps out of memory",
        "hang": "took longer than --timeout 15 s",
    }
    for how, run in runs.items():
        assert (run["status"], run.get("error")) == (
            "failed" if how in errors else "completed",
            errors.get(how),
        )
        record = dlrun.record(dlrun.path(run))
        assert record["status"] == run["status"]
        assert how not in errors or record["error"] in errors[how]
    assert last_checkpoint(dlrun.path(runs["none"])) == last_checkpoint(dlrun.path(runs["again"]))
    pids = (dlrun.cwd / "pids").read_text().splitlines()
    assert len(set(pids)) == 3, "only a process that has ended is replaced"
    assert not workers_of(the_sweep(dlrun))
    # A record is not trusted, just as in a copied run.
    refused = dlrun.here("sweep", "--resume", result["sweep_dir"])
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--trust my_parts" in refused.stderr


@pytest.mark.slow
def test_a_run_is_retried_and_a_large_process_is_replaced(dlrun):
    result = dlrun.json(
        *("sweep", TROUBLE, "+callbacks.trouble.how=once,none", "model.units=16", *TINY),
        *("--jobs", "1", "--retries", "1", "--memory-limit", "0.1"),
    )
    assert [run["status"] for run in result["runs"]] == ["completed"] * 2
    assert len(set((dlrun.cwd / "pids").read_text().splitlines())) == 3
    first, second = (dlrun.path(run) for run in result["runs"])
    assert last_checkpoint(first) == last_checkpoint(second)


def test_a_failed_run_that_is_trained_again_keeps_its_tags(dlrun):
    retried = ("seed=1", TROUBLE, "+callbacks.trouble.how=once", "--retries", "1")
    result = dlrun.json("sweep", *retried, "model.units=16", *TINY, "--jobs", "1")
    assert (dlrun.cwd / "once").exists()
    [run] = result["runs"]
    assert run["status"] == "completed"
    kept = dlrun.json_here("tag", dlrun.path(run))
    assert (kept["tags"], kept["note"]) == (["odd"], "fails at first")


def test_fail_fast_with_a_broken_framework(dlrun):
    broken = dlrun.cwd / "elsewhere" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libtorch.so: no such file')")
    done = dlrun(
        *("sweep", "backend=torch,jax", "model.units=16", *TINY, "--jobs", "1", "--fail-fast"),
        env={"PYTHONPATH": str(broken.parent)},
    )
    assert done.returncode == 1
    assert "failed: backend 'torch' can't be imported: libtorch.so: no such file" in done.stderr
    assert "1 of 2 runs failed, and 1 did not complete" in done.stderr
    record = dlrun.record(the_sweep(dlrun) / "0")
    assert record["status"] == "failed"
    assert "libtorch.so" in record["error"]
    assert not (the_sweep(dlrun) / "1").exists()


SLOW = ("seed=range(3)", TROUBLE, "+callbacks.trouble.how=slow", "model.units=16", *TINY[:2])
SLOW += ("epochs=20", TINY[-1], "--jobs", "2")


def test_a_killed_or_stopped_sweep_resumes_and_leaves_no_process(dlrun):
    def start(*arguments):
        return subprocess.Popen(
            [COMMAND, "sweep", *arguments], cwd=dlrun.cwd, stderr=subprocess.PIPE, text=True
        )

    process = start(*SLOW)
    saved = "runs/sweeps/*/*/checkpoints/epoch-*"
    eventually(lambda: len({path.parent for path in dlrun.cwd.glob(saved)}) == 2)
    sweep = the_sweep(dlrun)
    assert len(workers_of(sweep)) == 2
    process.kill()
    process.communicate()
    eventually(lambda: not workers_of(sweep), 30)
    started = sorted(sweep.glob("[0-9]"))
    assert [dlrun.record(run)["status"] for run in started] == ["interrupted"] * 2
    assert "sweep, 0 of 3 runs completed" in dlrun.here("runs", "--tree").stdout

    trusting = ("--resume", str(sweep), "--trust", "my_parts")
    process = start(*trusting)
    eventually(lambda: len(workers_of(sweep)) == 2)
    second = dlrun.here("sweep", *trusting)
    assert second.returncode == 2
    assert f"is being written by process {process.pid} on" in second.stderr
    process.terminate()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"dlrun sweep --resume {sweep}" in stderr
    assert "Traceback" not in stderr
    assert not workers_of(sweep)

    (dlrun.cwd / "go").touch()
    done = {run: (run / "run.json").stat().st_mtime for run in started}
    resumed = dlrun.json("sweep", *trusting)
    assert [run["status"] for run in resumed["runs"]] == ["completed"] * 3
    assert all("resumed" in dlrun.record(run) for run in done)
    for seed, run in enumerate(resumed["runs"]):
        straight = dlrun.warm("jax", "train", f"seed={seed}", *SLOW[1:-2])
        assert last_checkpoint(dlrun.path(run)) == last_checkpoint(dlrun.path(straight))
        assert set(run) == set(straight) | {"overrides", "differs"}


def test_a_terminal_shows_a_table_and_ctrl_c_stops_the_sweep(dlrun):
    arguments = [COMMAND, "sweep", *SLOW, "epochs=900", "--jobs", "1"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(dlrun.cwd)
        os.environ["COLUMNS"] = "80"
        os.execv(COMMAND, arguments)
    output, interrupted = b"", False
    with suppress(OSError):  # its other end is closed
        while select.select([terminal], [], [], 60)[0]:
            output += os.read(terminal, 65536)
            if b" 1/900" in output and not interrupted:
                interrupted = bool(os.write(terminal, b"\x03"))
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.decode())
    assert re.search(r"0 of 3 runs\s+run +epoch +val_loss +state", text)
    assert re.search(r"seed=0 +1/900 +\d\.\d{4} +running", text)
    assert "interrupted; resume with: dlrun sweep --resume" in text
    assert "Traceback" not in text
    assert dlrun.record(the_sweep(dlrun) / "0")["status"] == "interrupted"
    assert not workers_of(the_sweep(dlrun))

"""What clean finds and removes: never a running run, the best or the newest checkpoint."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dlrun.api.clean import clean
from dlrun.checkpoints.format import Variable, write_checkpoint
from dlrun.checkpoints.store import Position, list_positions
from dlrun.report.clean import clean_table
from dlrun.runs.annotations import write_annotations

KEY = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DLRUN_CACHE", raising=False)
    return tmp_path / "runs"


def make_run(runs: Path, name: str, status: str, epochs: int = 5, best: int = 2, **more) -> Path:
    run = runs / "net" / name
    run.mkdir(parents=True)
    record = {"status": status, "started": "2026-11-21T10:04:31+00:00", **more}
    (run / "run.json").write_text(json.dumps(record))
    (run / "config.yaml").write_text("epochs: 5\n")
    values = [Variable("v", np.ones(3, np.float32))]
    for epoch in range(1, epochs + 1):
        parts = {"model": values, "optimizer": values}
        state = {"best": {"epoch": best}}
        write_checkpoint(run / "checkpoints", Position(epoch), parts, state, written_by={})
    return run


def epochs(run: Path) -> list[int]:
    return [at.epochs for at in list_positions(run / "checkpoints")]


def test_lists_and_only_then_removes_checkpoints_but_the_best_and_the_newest(runs: Path) -> None:
    done = make_run(runs, "done", "completed")
    stopped = make_run(runs, "stopped", "interrupted")
    found = clean(runs)
    assert found["deleted"] is False
    assert sorted(Path(item["path"]).name for item in found["items"]) == sorted(
        ["epoch-0001", "epoch-0003", "epoch-0004", "epoch-0001", "epoch-0003"]
    )
    sizes = [p.stat().st_size for p in runs.rglob("epoch-000[134]/*") if "done" in str(p)]
    assert sum(i["bytes"] for i in found["items"] if "done" in i["path"]) == sum(sizes)
    assert (epochs(done), epochs(stopped)) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    removed = clean(runs, delete=True)
    assert removed["bytes"] == found["bytes"]
    # One that can be resumed keeps the last two: the newest may be damaged.
    assert (epochs(done), epochs(stopped)) == ([2, 5], [2, 4, 5])
    assert clean(runs)["items"] == []


def test_removes_failed_runs_without_a_note_and_nothing_of_a_running_one(runs: Path) -> None:
    failed = make_run(runs, "failed", "failed", error="it broke")
    noted = make_run(runs, "noted", "failed")
    write_annotations(noted, ["look"], None)
    running = make_run(runs, "running", "running")
    held = "import sys, time; from pathlib import Path; from dlrun.runs.directory import lock\n"
    held += "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", held, str(running)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        result = clean(runs, kinds=("failed", "checkpoints"), delete=True)
        process.kill()
    assert not failed.exists()
    assert noted.exists()
    assert epochs(running) == [1, 2, 3, 4, 5]
    assert {item["kind"] for item in result["items"]} == {"failed", "checkpoints"}
    assert not [item for item in result["items"] if "running" in item["path"]]


def test_keeps_what_is_younger_and_what_an_unreadable_state_leaves_unknown(runs: Path) -> None:
    run = make_run(runs, "done", "completed")
    assert clean(runs, older_than_days=36_500)["items"] == []
    (run / "checkpoints/epoch-0005/state.json").write_text("{")
    assert clean(runs)["items"] == []


def test_removes_entries_of_caches_that_no_run_has_just_used(tmp_path: Path) -> None:
    data = tmp_path / "cache/dlrun/data"
    for name in (KEY, KEY[::-1], "mine"):
        (data / name).mkdir(parents=True)
        (data / name / "manifest.json").write_text("{}")
    old = time.time() - 7200
    for name in (KEY, "mine"):
        os.utime(data / name / "manifest.json", (old, old))
        os.utime(data / name, (old, old))
    found = clean(kinds=("caches",), delete=True)  # before the first run
    assert [item["path"] for item in found["items"]] == [str(data / KEY)]
    assert sorted(path.name for path in data.iterdir()) == sorted([KEY[::-1], "mine"])


def test_a_cache_with_one_entry_is_named_itself() -> None:
    one = {"path": "/c/dlrun/bench", "why": "times", "bytes": 172, "kind": "caches"}
    two = [{**one, "path": f"/c/dlrun/data/{name}"} for name in "ab"]
    lines = clean_table({"items": [one, *two], "bytes": 516, "deleted": False}).splitlines()
    assert [line.split()[2] for line in lines[1:3]] == ["/c/dlrun/data/*", "/c/dlrun/bench"]


def test_what_a_bucket_may_lack_is_no_cache(tmp_path: Path) -> None:
    old = time.time() - 7200
    for name in ("jax", "bench", "remote", "remote-kept", "mine"):
        folder = tmp_path / "cache/dlrun" / name
        (folder / "inner").mkdir(parents=True)
        for path in (folder / "inner", folder):
            os.utime(path, (old, old))
    found = clean(kinds=("caches",), delete=True)
    assert [Path(item["path"]).name for item in found["items"]] == ["jax", "bench"]
    left = {path.name for path in (tmp_path / "cache/dlrun").iterdir()}
    assert left == {"remote", "remote-kept", "mine"}


def make_launch(runs: Path, name: str, engine: str, code: int | None = None, age=7200.0) -> Path:
    folder = runs / "launches" / name
    (folder / "slurm").mkdir(parents=True)
    (folder / "stderr").write_text("epoch 1/2\n")
    (folder / "request.json").write_text(json.dumps({"engine": engine}))
    if code is not None:
        (folder / "ended.json").write_text(json.dumps({"code": code}))
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - age,) * 2)
    return folder


def test_removes_the_folders_of_launches_that_have_ended(runs: Path, tmp_path: Path) -> None:
    done = make_launch(runs, "done", "--slurm nodes=2", 0)
    failed = make_launch(runs, "failed", "--ray nodes=2", 1)
    killed = make_launch(runs, "killed", "--ray nodes=2")  # on Ray all ends with dlrun launch
    make_launch(runs, "queued", "--slurm nodes=2")
    make_launch(runs, "just", "--slurm nodes=2", 0, age=60.0)  # others may still write their logs
    make_launch(runs, "other", "--ray nodes=2", 0).joinpath("request.json").write_text("{")
    (runs / "launches/linked").symlink_to(make_launch(tmp_path / "elsewhere", "there", "", 0))
    (runs / "away").symlink_to(tmp_path / "elsewhere")
    make_run(runs, "run", "completed")
    followed = make_launch(runs, "followed", "--ray nodes=2")
    held = "import sys, time; from pathlib import Path; from dlrun.runs.directory import lock\n"
    held += "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", held, str(followed)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        os.utime(followed, (0, 0))
        os.utime(followed / ".lock", (0, 0))
        found = clean(runs, kinds=("launches",), delete=True)
        process.kill()
    assert {Path(item["path"]).name: item["why"] for item in found["items"]} == {
        "done": "a launch that has ended, with exit code 0",
        "failed": "a launch that has ended, with exit code 1",
        "killed": "a launch whose dlrun launch was killed",
    }
    assert (runs / "away/launches/there").exists()
    assert not done.exists() and not failed.exists() and not killed.exists()
    left = {path.name for path in (runs / "launches").iterdir()}
    assert left == {"queued", "just", "other", "linked", "followed"}
    assert clean(runs, kinds=("launches",), older_than_days=1)["items"] == []


def test_follows_no_link_out_of_a_run(runs: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "elsewhere", "other", "completed")
    run = make_run(runs, "copied", "completed", epochs=0)
    (run / "checkpoints").symlink_to(other / "checkpoints")
    assert clean(runs, delete=True)["items"] == []
    assert epochs(other) == [1, 2, 3, 4, 5]

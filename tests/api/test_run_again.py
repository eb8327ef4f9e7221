"""An earlier run again: --from, what it records, --needed, and dlrun diff."""

import json
import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from conftest import Dlrun
from dlrun import __version__
from dlrun.api.diff import diff
from dlrun.api.earlier import compose_from
from dlrun.api.finished_run import CompletedRuns
from dlrun.config.compose import compose
from dlrun.config.project import HERE
from dlrun.errors import DlrunError
from dlrun.report.diff import diff_lines
from dlrun.runs.result import RunResult
from dlrun.training.record import code_state
from trainings import worker

SMALL = ("data.limit=200", "model.units=8", "epochs=2", "batch_size=50")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project in git, with a sweep of two runs in it."""
    cwd = tmp_path_factory.mktemp("again")
    (cwd / ".gitignore").write_text("runs\n")
    commit(cwd, "first")
    result = Dlrun(cwd).json("sweep", "seed=1,2", *SMALL, "backend=jax", "--jobs", "1")
    return cwd, result


def commit(cwd, message):
    who = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", message]):
        subprocess.run(["git", *words], cwd=cwd, check=True)


def typed(cwd, *words):
    code, stdout, stderr = worker("jax").command(cwd, [*words, "--json"])
    assert code == 0, stderr
    return json.loads(stdout), stderr


@pytest.mark.trains
def test_a_run_of_a_sweep_again_with_changes_has_the_bits_of_typing_both(home):
    cwd, sweep = home
    parent = sweep["runs"][1]["run_dir"]
    result, told = typed(cwd, "train", "--from", parent, "optimizer.learning_rate=0.01")
    assert f"from   {parent}" in told
    assert "optimizer.learning_rate  0.001 -> 0.01" in told
    record = json.loads((cwd / result["run_dir"] / "run.json").read_text())
    assert record["parent"]["run_dir"] == parent
    assert record["overrides"] == ["seed=2", *SMALL, "backend=jax", "optimizer.learning_rate=0.01"]
    straight = worker("jax").train(cwd, *SMALL, "seed=2", "optimizer.learning_rate=0.01")
    for split in ("train", "validation", "test"):
        assert result[split] == straight[split]
    [node] = Dlrun(cwd).json("runs", "--tree")["trees"][:1]
    children = {child["run"]: child["children"] for child in node["children"]}
    assert [len(of) for of in children.values()] == [0, 1]


def test_a_run_of_an_older_version_is_repeated_in_the_words_of_this_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = asdict(compose(["seed=1"]))
    del config["feed"], config["export"], config["choices"]["feed"]
    config |= {"export_keras": True, "data": config["data"] | {"feed": "numpy"}}
    run = tmp_path / "runs" / "old"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    typed = ["seed=1", "data.feed=numpy", "export_keras=false", "export_keras=true"]
    (run / "run.json").write_text(json.dumps({"status": "completed", "overrides": typed}))
    earlier, _ = compose_from("runs/old", ["seed=2"], project=HERE)
    assert earlier.overrides == ["feed=numpy", "+export=keras", "seed=2"]
    assert earlier.gone == []
    assert asdict(earlier.config) == asdict(compose(earlier.overrides))
    earlier, _ = compose_from("runs/old", ["feed=auto"], project=HERE)
    assert earlier.config.feed["_target_"] is None


@pytest.mark.trains
def test_a_sweep_from_a_run_is_refused_with_what_to_type(home):
    cwd, sweep = home
    done = Dlrun(cwd)("sweep", "--from", sweep["runs"][1]["run_dir"], "seed=3,4")
    assert done.returncode == 2
    assert f"hint: dlrun sweep {' '.join(SMALL)} backend=jax seed=3,4" in done.stderr


@pytest.mark.trains
def test_needed_trains_only_what_no_equal_run_has_done(home):
    cwd, sweep = home
    done = [run["run_dir"] for run in sweep["runs"]]
    found, told = typed(cwd, "train", *SMALL, "seed=2", "backend=jax", "--needed")
    assert found["run_dir"] == done[1]
    assert f"done   {done[1]} is an equal run" in told
    again = Dlrun(cwd).json("sweep", "seed=2,1,2", *SMALL, "backend=jax", "--needed")
    assert [run["run_dir"] for run in again["runs"]] == done[::-1]
    assert again["best"]["test"] == sweep["best"]["test"]
    resumed = Dlrun(cwd).json("sweep", "--resume", again["sweep_dir"])
    assert [run["run_dir"] for run in resumed["runs"]] == done[::-1]
    (cwd / "helper.py").write_text("x = 1\n")  # the code is another now
    try:
        other, _ = typed(cwd, "train", *SMALL, "seed=2", "backend=jax", "--needed")
        assert other["run_dir"] not in done
    finally:
        (cwd / "helper.py").unlink()


def test_data_that_were_written_since_make_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("x,label\n1,a\n")
    config = compose(["data=csv", "data.path=*.csv", "data.target=label"], find=False)
    run = tmp_path / "runs/mine/2026-11-21_10-00-00_aaaa"
    run.mkdir(parents=True)
    metrics = {"loss": 0.5}
    result = RunResult(
        str(run), "completed", "jax", "tabular", "fit", 1, 1, "epochs", 9,
        metrics, metrics, metrics, {"total": 1.0}, 1.0, 1.0, 1,
    )  # fmt: skip
    record = {
        **result.to_dict(),
        **code_state(tmp_path),
        "started": "2026-11-21T10:00:00+0000",
        "versions": {"dlrun": __version__},
        "config": asdict(config),
    }
    (run / "run.json").write_text(json.dumps(record))
    for file in tmp_path.glob("*.csv"):
        os.utime(file, (1e9, 1e9))
    found = CompletedRuns(tmp_path / "runs", None)
    assert found.equal(config) == result
    assert found.equal(replace(config, name="other", runs_dir="else")) == result
    assert found.equal(replace(config, seed=1)) is None
    os.utime(tmp_path / "two.csv")
    assert found.equal(config) is None


def test_diff_shows_config_code_data_environment_and_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commits = []
    for number, name in enumerate(("aaaa", "bbbb")):
        (tmp_path / "net.py").write_text(f"x = {number}\n" * (number + 1))
        (tmp_path / ".gitignore").write_text("runs\n")
        commit(tmp_path, name)
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        commits.append(head.stdout.strip())
        run = tmp_path / f"runs/net/2026-11-21_10-00-0{number}_{name}"
        run.mkdir(parents=True)
        (run / "config.yaml").write_text(f"epochs: {number}\nseed: 0\n")
        record = {
            "status": "completed",
            "git": {"commit": commits[-1], "dirty": False},
            "code": name,
            "data_fingerprint": {"train": "same", "test": name},
            "versions": {"python": "3.11", "keras": f"3.{number}"},
            "test": {"accuracy": 0.5 + number / 4},
        }
        (run / "run.json").write_text(json.dumps(record))
    found = diff("aaaa", "bbbb", runs_dir=Path("runs"))
    assert found["config"] == {"epochs": [0, 1]}
    assert found["code"]["commits"] == commits
    assert found["code"]["files"] == [{"file": "net.py", "added": 2, "removed": 1}]
    assert (found["code"]["same"], found["code"]["ahead"]) == (False, 1)
    assert found["data"] == {"data_fingerprint.test": ["aaaa", "bbbb"]}
    assert found["environment"] == {"versions.keras": ["3.0", "3.1"]}
    assert found["result"] == {"test.accuracy": [0.5, 0.75]}
    shown = diff_lines(found)
    assert "  epochs  0 -> 1" in shown
    assert "    net.py  +2 -1" in shown
    with pytest.raises(DlrunError, match="are the same run"):
        diff("aaaa", "aaaa", runs_dir=Path("runs"))

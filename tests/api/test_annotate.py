"""Tags, notes and names of runs, and the page of one run."""

import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import COMMAND
from dlrun.api.annotate import tag
from dlrun.cli import app
from dlrun.report.sparkline import sparkline

ID = "2026-11-21_10-04-31_k3f9"
RECORD = {
    "status": "completed", "model": "net", "backend": "jax", "device": "cpu:0", "epochs": 3,
    "best_epoch": 2, "command": ["dlrun", "train", "epochs=3"], "config": {"epochs": 3},
    "started": "2026-11-21T10:04:31+00:00", "test": {"loss": 0.25, "accuracy": 0.9},
    "seconds": {"total": 1.5},
}  # fmt: skip
CURVES = (
    "epoch,seconds,learning_rate,loss,val_loss\n1,1,0.1,2.0,1.5\n2,1,0.1,1.0,\n3,1,0.1,0.5,0.7\n"
)


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, record in ((ID, RECORD), (ID.replace("k3f9", "aaaa"), RECORD | {"epochs": 4})):
        place = tmp_path / "runs/net" / name
        place.mkdir(parents=True)
        (place / "run.json").write_text(json.dumps(record))
        (place / "config.yaml").write_text("epochs: 3\nmodel:\n  units: 8\n")
        (place / "metrics.csv").write_text(CURVES)
    return tmp_path / "runs/net" / ID


def dlrun(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_tags_select_runs_and_stay_when_the_record_is_written_again(run: Path) -> None:
    dlrun("tag", "k3f9", "paper", "good", "paper", "--note", "table 2")
    (run / "run.json").write_text(json.dumps(RECORD | {"epochs": 7}))
    [found] = json.loads(dlrun("runs", "--where", "tag=paper", "--json"))["runs"]
    assert (found["epochs"], found["tags"], found["note"]) == (7, ["paper", "good"], "table 2")
    [other] = json.loads(dlrun("runs", "--where", "tag!=paper", "--json"))["runs"] or [None]
    assert other is None  # a run without any tag does not have the key
    assert "paper, good" in dlrun("runs")
    assert "paper, good" in dlrun("runs", "--csv")
    after = json.loads(dlrun("tag", "k3f9", "--remove", "paper", "--note", "", "--json"))
    assert (after["tags"], after["note"]) == (["good"], None)
    assert "has no tag 'paper'" in dlrun("tag", "k3f9", "--remove", "paper", code=2)
    assert "printable" in dlrun("tag", "k3f9", "a\x1bb", code=2)


def test_of_two_commands_at_once_no_tag_is_lost(run: Path) -> None:
    tags = [f"tag{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: tag("k3f9", [name]), tags))
    assert sorted(tag("k3f9")["tags"]) == sorted(tags)


def test_renamed_run_is_found_by_its_new_name_and_those_that_it_had(run: Path) -> None:
    assert dlrun("rename", "k3f9", "baseline").strip() == "runs/net/baseline"
    assert not run.exists()
    assert json.loads(dlrun("show", "baseline", "--json"))["record"]["epochs"] == 3
    assert "exists already" in dlrun("rename", "aaaa", "baseline", code=2)
    dlrun("rename", "k3f9", "better")
    for earlier in ("k3f9", "net/k3f9", str(Path("runs/net", ID)), "baseline"):
        assert dlrun("show", earlier) == dlrun("show", "better")
    assert dlrun("rename", "aaaa", "baseline").strip() == "runs/net/baseline"
    assert json.loads(dlrun("show", "baseline", "--json"))["record"]["epochs"] == 4
    for wrong in ("latest", "a/b", "..", ""):
        assert "expected letters" in dlrun("rename", "better", wrong, code=2)
    (run.parent / "sweep.json").write_text("{}")
    assert "belongs to a sweep" in dlrun("rename", "baseline", "other", code=2)


def test_show_has_result_curves_files_and_config(run: Path) -> None:
    text = dlrun("show", "k3f9")
    for words in ("dlrun train epochs=3", "3, the best is 2", "test   0.2500  0.9000",
                  "loss           █▃▁  2.0000 to 0.5000", "val_loss       █ ▁  1.5000 to 0.7000",
                  "metrics.csv", "model.units  8"):  # fmt: skip
        assert words in text, text
    shown = json.loads(dlrun("show", "k3f9", "--json"))
    assert shown["curves"]["val_loss"] == [1.5, None, 0.7]
    assert shown["files"]["config.yaml"] == len("epochs: 3\nmodel:\n  units: 8\n")
    assert shown["config"]["model"] == {"units": 8}


def test_sparkline_spans_the_values_and_keeps_the_last() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, None, float("nan"), 1.0]) == "▄  ▄"
    assert sparkline(list(range(1000)), width=10)[-1] == "█"
    assert len(sparkline(list(range(1000)), width=10)) == 10


def test_watch_shows_running_epochs_until_interrupted(run: Path) -> None:
    record = {key: value for key, value in RECORD.items() if key != "test"}
    (run / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    with subprocess.Popen([COMMAND, "runs", "--watch"], stdout=subprocess.PIPE, text=True) as shown:
        assert shown.stdout is not None
        assert any("0.7000" in line for line in shown.stdout)
        (run / "metrics.csv").write_text(CURVES + "4,1,0.1,0.4,0.3\n")
        assert any("0.3000" in line for line in shown.stdout)
        shown.send_signal(signal.SIGINT)
        assert shown.wait(timeout=30) == 0
    assert "--watch shows a table" in dlrun("runs", "--watch", "--json", code=2)

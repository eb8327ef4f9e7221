"""Run directories: one per run, found by path, by name or as the latest."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlrun.errors import DlrunError
from dlrun.runs.annotations import read_annotations, remove_attempt, write_annotations
from dlrun.runs.directory import CONFIG, RunDir, create_run, lock, plan_run_path
from dlrun.runs.locate import find_run
from dlrun.runs.status import is_locked

pytestmark = pytest.mark.usefixtures("cwd")


def made(path: str, **record: object) -> RunDir:
    return create_run(Path(path), {"status": "running", **record}, {CONFIG: "{}\n"})


def test_a_run_is_named_by_its_time_and_a_unique_id() -> None:
    path = plan_run_path(Path("runs"), "mine")
    assert re.fullmatch(
        r"runs/mine/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[a-hj-km-np-z2-9]{4}", path.as_posix()
    )
    assert not Path("runs").exists()


def test_runs_started_at_the_same_time_have_separate_directories() -> None:
    runs = [made(str(plan_run_path(Path("runs"), "mine")), number=n) for n in range(3)]
    assert len({run.path for run in runs}) == 3
    for number, run in enumerate(runs):
        assert json.loads((run.path / "run.json").read_text())["number"] == number


def test_a_run_that_is_trained_anew_in_its_place_keeps_its_tags_and_its_note() -> None:
    place = "runs/sweeps/rates/0"
    first = made(place)
    first.checkpoints.mkdir()
    write_annotations(first.path, ["odd"], "the loss is NaN")
    with pytest.raises(DlrunError, match="File exists"):
        made(place)
    remove_attempt(first.path)
    assert made(place, number=2).record["number"] == 2
    assert read_annotations(first.path) == {"tags": ["odd"], "note": "the loss is NaN"}
    assert not first.checkpoints.exists()
    plain = made("runs/sweeps/rates/1").path
    remove_attempt(plain)
    assert not plain.exists()


def test_a_run_starts_with_its_record_and_its_files() -> None:
    run = create_run(Path("runs/a/b"), {"status": "running"}, {"config.yaml": "epochs: 1\n"})
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "run.json"]
    assert (run.path / "config.yaml").read_text() == "epochs: 1\n"
    assert json.loads((run.path / "run.json").read_text()) == {"status": "running"}
    assert run.checkpoints == Path("runs/a/b/checkpoints")


def test_an_existing_directory_is_never_used() -> None:
    made("runs/a/b", first=True)
    with pytest.raises(DlrunError, match="can't create the run directory runs/a/b") as caught:
        made("runs/a/b", first=False)
    assert caught.value.exit_code == 2
    assert json.loads(Path("runs/a/b/run.json").read_text())["first"]


def test_a_runs_dir_that_is_not_writable_is_reported_with_a_hint() -> None:
    Path("runs").write_text("a file")
    with pytest.raises(DlrunError, match="can't create the run directory runs/a/b") as caught:
        made("runs/a/b")
    assert caught.value.hint == "choose another place with runs_dir=PATH"


def test_an_update_keeps_the_other_fields() -> None:
    run = made("runs/a/b", seed=3)
    run.update(status="completed", test={"loss": 0.5})
    expected = {"status": "completed", "seed": 3, "test": {"loss": 0.5}}
    assert json.loads((run.path / "run.json").read_text()) == expected
    assert find_run("runs/a/b", Path("runs")).record == expected


def test_a_failed_update_does_not_change_the_record() -> None:
    run = made("runs/a/b")
    with pytest.raises(TypeError):
        run.update(status=object())
    assert json.loads((run.path / "run.json").read_text()) == {"status": "running"}
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "run.json"]


def test_clean_removes_only_partial_files() -> None:
    run = made("runs/a/b")
    names = (".metrics.csv.partial-77", "plots/.loss.partial-77.png", ".partial-model.keras")
    kept = ("metrics.csv", "plots/loss.png", "notes.partial-7", ".lock")
    for name in (*names, *kept):
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_text("x")
    run.clean()
    assert not any((run.path / name).exists() for name in names)
    assert all((run.path / name).exists() for name in (*kept, "run.json", "config.yaml"))


def test_latest_is_the_newest_run_of_any_name() -> None:
    made("runs/b/2026-11-21_10-04-30_zzzz")
    made("runs/a/2026-11-21_10-04-31_aaaa")
    made("runs/c/2026-11-20_23-59-59_zzzz")
    found = find_run("latest", Path("runs"))
    assert found.path == Path("runs/a/2026-11-21_10-04-31_aaaa")


def test_latest_may_be_a_run_of_a_sweep() -> None:
    made("runs/a/2020-01-01_10-04-31_aaaa")
    begun = made("runs/sweeps/2020-01-01_10-04-30_yyyy/0").path
    made("runs/sweeps/2020-01-01_10-04-30_yyyy/1")
    os.utime("runs/sweeps/2020-01-01_10-04-30_yyyy/1/config.yaml", (0, 0))
    not_begun = Path("runs/sweeps/2020-01-01_10-04-30_yyyy/2")
    not_begun.mkdir()
    (not_begun / "run.json").write_text("{}")
    assert find_run("latest", Path("runs")).path == begun


def test_runs_of_the_same_second_are_ordered() -> None:
    for number, unique in enumerate(("mmmm", "zzzz", "aaaa")):
        run = made(f"runs/a/2026-11-21_10-04-31_{unique}")
        os.utime(run.path / "config.yaml", ns=(number, number))
    assert find_run("latest", Path("runs")).path.name == "2026-11-21_10-04-31_aaaa"


def test_latest_looks_only_at_runs() -> None:
    made("runs/a/2026-11-21_10-04-31_aaaa")
    Path("runs/a/2026-12-31_00-00-00_half").mkdir()
    Path("runs/notes.txt").write_text("mine")
    assert find_run("latest", Path("runs")).path.name == "2026-11-21_10-04-31_aaaa"


def test_without_runs_there_is_no_latest() -> None:
    with pytest.raises(DlrunError, match="no runs in elsewhere") as caught:
        find_run("latest", Path("elsewhere"))
    assert "dlrun train" in str(caught.value.hint)


@pytest.mark.parametrize(
    "name",
    ["2026-11-21_10-04-31_aaaa", "aaaa", "a/aaaa", "a/2026-11-21_10-04-31_aaaa", "sweeps/a/aaaa"],
)
def test_a_run_is_found_by_its_name_or_id(name: str) -> None:
    made("runs/sweeps/a/2026-11-21_10-04-31_aaaa")
    made("runs/b/2026-11-21_10-04-31_bbbb")
    path = Path("runs/sweeps/a/2026-11-21_10-04-31_aaaa")
    assert find_run(name, Path("runs")).path == path


def test_an_ambiguous_name_is_refused() -> None:
    made("runs/a/2026-11-21_10-04-31_aaaa")
    made("runs/b/2026-11-21_10-04-31_aaaa")
    with pytest.raises(DlrunError, match="2 runs are named aaaa") as caught:
        find_run("aaaa", Path("runs"))
    assert caught.value.hint == "the first is runs/a/2026-11-21_10-04-31_aaaa"
    assert find_run("b/aaaa", Path("runs")).path.parent.name == "b"


def test_part_of_a_name_is_not_found() -> None:
    made("runs/a/2026-11-21_10-04-31_aaaa")
    made("runs/a/loop=train_step")
    for name in ("aaa", "step", "2026-11-21", "."):
        with pytest.raises(DlrunError, match=r"no run directory|not a run directory"):
            find_run(name, Path("runs"))


@pytest.mark.parametrize("missing", ["run.json", "config.yaml"])
def test_a_directory_without_a_record_is_refused(missing: str) -> None:
    made("runs/a/b")
    Path("runs/a/b", missing).unlink()
    with pytest.raises(DlrunError, match=rf"runs/a/b is not a run directory: it has no {missing}"):
        find_run("runs/a/b", Path("runs"))


@pytest.mark.parametrize("text", [b"", b'{"status": ', b"[]", b"\xff\xfe"], ids=repr)
def test_a_damaged_record_is_refused_by_its_path(text: bytes) -> None:
    made("runs/a/b")
    Path("runs/a/b/run.json").write_bytes(text)
    with pytest.raises(DlrunError, match=r"runs/a/b/run\.json"):
        find_run("runs/a/b", Path("runs"))


def test_a_nan_metric_is_null_in_the_file_and_nan_in_memory() -> None:
    run = made("runs/a/b")
    run.update(test={"loss": float("nan"), "accuracy": 0.5})
    assert find_run("runs/a/b", Path("runs")).record["test"] == {"loss": None, "accuracy": 0.5}
    assert "NaN" not in Path("runs/a/b/run.json").read_text()
    assert math.isnan(run.record["test"]["loss"])


def test_looking_at_a_run_does_not_end_the_lock_of_this_process() -> None:
    run = made("runs/a/b").path
    other = "import sys; from pathlib import Path; from dlrun.runs.status import is_locked;"
    other += "print(is_locked(Path(sys.argv[1])))"

    def locked_for_others() -> str:
        done = subprocess.run(
            [sys.executable, "-c", other, run], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    with lock(run):
        assert is_locked(run) is True
        with pytest.raises(DlrunError, match="is being written by this process"), lock(run):
            pass
        assert locked_for_others() == "True"
    assert locked_for_others() == "False"

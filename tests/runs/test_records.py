"""The records of many runs, kept from one listing to the next."""

import json
import os
import time
from pathlib import Path

import pytest

from dlrun.runs.records import FOLDER, SEVERAL, read_records

NUMBER = 2 * SEVERAL
LONG_AGO = 1_790_000_000


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(NUMBER):
        write(tmp_path / f"runs/{number:03}", seed=number)
    return tmp_path / "runs"


def write(run: Path, *, seed: int, when: int = LONG_AGO) -> None:
    run.mkdir(parents=True, exist_ok=True)
    config = {"seed": seed, "model": {"units": 32}}
    record = run / "run.json"
    record.write_text(json.dumps({"status": "completed", "config": config}))
    os.utime(record, (when, when))


def seeds(folder: Path) -> dict[str, int]:
    found = read_records(folder)
    return {Path(run).name: record["config"]["seed"] for run, record in found if record is not None}


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache/dlrun" / FOLDER).glob("*"))


def test_a_record_is_read_again_only_if_its_file_has_changed(runs: Path) -> None:
    expected = {f"{number:03}": number for number in range(NUMBER)}
    assert seeds(runs) == expected
    write(runs / "100", seed=555)  # of the same size, time and inode: it is not opened
    write(runs / "101", seed=556, when=LONG_AGO + 1)
    write(runs / "new", seed=557)
    (runs / "102/run.json").unlink()
    expected |= {"101": 556, "new": 557}
    del expected["102"]
    assert seeds(runs) == expected


def test_what_has_just_been_written_is_read_each_time(runs: Path) -> None:
    now = int(time.time()) + 60
    write(runs / "100", seed=555, when=now)
    assert seeds(runs)["100"] == 555
    write(runs / "100", seed=556, when=now)
    assert seeds(runs)["100"] == 556


def test_what_is_no_record_is_told_each_time(runs: Path) -> None:
    for name, text in (("000", "{"), ("001", "[]"), ("002", '{"status": 1}')):
        (runs / name / "run.json").write_text(text)
        os.utime(runs / name / "run.json", (LONG_AGO, LONG_AGO))
    for _ in range(2):
        found = dict(read_records(runs))
        assert [found[str(runs / name)] for name in ("000", "001", "002")] == [None] * 3
        assert len(found) == NUMBER


def test_a_record_may_be_changed_and_the_kept_one_stays(runs: Path) -> None:
    for _ in range(2):
        records = [record for _, record in read_records(runs) if record is not None]
        assert len(records) == NUMBER
        assert not any("tags" in record for record in records)
        for record in records:
            record["tags"] = ["mine"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "another Python"])
def test_a_damaged_file_is_made_again(runs: Path, tmp_path: Path, damage: str) -> None:
    expected = seeds(runs)
    [path] = kept(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2 if damage == "flipped" else 3] ^= 0xFF
    path.write_bytes(content)
    write(runs / "100", seed=555)
    assert seeds(runs) == expected | {"100": 555}
    assert kept(tmp_path) == [path]
    assert path.read_bytes() != content


def test_runs_are_listed_where_nothing_can_be_kept(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no directory")
    assert len(seeds(runs)) == NUMBER


def test_of_few_runs_nothing_is_kept(runs: Path, tmp_path: Path) -> None:
    for number in range(SEVERAL - 1, NUMBER):
        (runs / f"{number:03}/run.json").unlink()
    assert len(seeds(runs)) == SEVERAL - 1
    assert kept(tmp_path) == []


def test_the_runs_of_the_working_directory_are_named_as_paths_write_them(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    for _ in range(2):  # scanned, then known
        assert {run for run, _ in read_records(Path())} == {path.name for path in runs.iterdir()}

"""A sweep by its name, where a run or a sweep is asked for."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlrun.cli import app
from dlrun.errors import DlrunError
from dlrun.runs.locate import find_run, find_sweep
from dlrun.sweeps.request import SweepRequest
from dlrun.sweeps.run import sweep
from dlrun.system.files import check_writable

NAMES = ("2026-11-21_10-04-31_k3f9", "2026-11-22_10-04-31_69jz")


@pytest.fixture(autouse=True)
def sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two sweeps that have begun nothing; one has the directory of a run."""
    monkeypatch.chdir(tmp_path)
    made = [Path("runs/sweeps") / name for name in NAMES]
    for path in made:
        path.mkdir(parents=True)
        record = {
            "overrides": ["seed=1,2"], "keys": ["seed"], "runs": [], "jobs": 1,
            "monitor": "val_loss", "mode": "min",
        }  # fmt: skip
        (path / "sweep.json").write_text(json.dumps(record))
    (made[0] / "03").mkdir()
    (made[0] / "03/run.json").write_text("{}")
    return made


def test_a_sweep_is_found_by_its_path_its_name_and_its_id(sweeps: list[Path]) -> None:
    runs = Path("runs")
    for name in (str(sweeps[0]), NAMES[0], "k3f9"):
        assert find_sweep(name, runs) == sweeps[0]
    assert find_sweep("latest", runs) is None  # is the newest run
    assert find_sweep("latest", runs, latest=True) == sweeps[1]
    assert find_sweep("nosuch", runs) is find_sweep("runs", runs) is None


def test_resume_takes_an_id_or_latest(sweeps: list[Path]) -> None:
    for name, path in (("k3f9", sweeps[0]), ("latest", sweeps[1])):
        assert sweep(SweepRequest(resume=Path(name), dry_run=True))["sweep_dir"] == str(path)
    with pytest.raises(DlrunError, match="there is no sweep at nosuch"):
        sweep(SweepRequest(resume=Path("nosuch"), dry_run=True))
    with pytest.raises(DlrunError) as refused:
        sweep(SweepRequest(resume=sweeps[0] / "03", dry_run=True))
    assert refused.value.hint == f"--resume {sweeps[0]}"


@pytest.mark.parametrize("name", [f"runs/sweeps/{NAMES[0]}", "k3f9"])
def test_a_sweep_where_a_run_is_meant_names_its_runs(name: str, sweeps: list[Path]) -> None:
    with pytest.raises(DlrunError, match="is a sweep, not a run") as refused:
        find_run(name, Path("runs"))
    assert f"as {sweeps[0]}/03; dlrun sweep --resume {sweeps[0]} " in (refused.value.hint or "")


def test_a_path_with_a_space_is_quoted_where_it_is_to_be_typed(sweeps: list[Path]) -> None:
    there = sweeps[0].rename("my sweep")
    with pytest.raises(DlrunError) as refused:
        find_run(str(there), Path("runs"))
    assert "as 'my sweep'/03; dlrun sweep --resume 'my sweep' " in (refused.value.hint or "")
    with pytest.raises(DlrunError) as refused:
        check_writable(Path("a b/report.html"), "--output", name="report.html")
    assert refused.value.hint == "mkdir -p 'a b'"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("runs --tree --sort val_loss", "--tree has the order of descent"),
        ("runs --tree --limit 3", "--tree has the order of descent"),
        ("compare a b --by seconds", "--by seconds is of the plot"),
        ("sweep seed=1,2 --search tpe", "--search optuna; what it draws by is --sampler"),
        ("sweep -m --runs nosuch.csv --dry-run", "--runs nosuch.csv: No such file"),
    ],
)
def test_an_option_without_an_effect_is_refused(typed: str, said: str) -> None:
    done = CliRunner().invoke(app, typed.split())
    assert done.exit_code == 2 and said in done.stderr

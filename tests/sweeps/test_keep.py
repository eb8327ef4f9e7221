"""sweep --keep: which runs keep their checkpoints, and how the others are made again."""

from pathlib import Path

import pytest

from conftest import Dlrun
from dlrun.errors import DlrunError
from dlrun.inference.chosen_epoch import resolve_epoch
from dlrun.runs.directory import RECORD, SWEEP_FILE
from dlrun.runs.locate import find_run
from dlrun.sweeps.jobs import Job, Plan, read_plan
from dlrun.sweeps.keep import Keeper, parse_keep, repeats_of
from dlrun.system.files import read_json, write_json
from dlrun.workers.key import ProcessKey

KEY = ProcessKey("jax", "cpu", "float32", False, "")


def job(place: Path, number: int, loss: float, **differs: str) -> Job:
    path = place / str(number)
    (path / "checkpoints" / "epoch-0001").mkdir(parents=True)
    write_json(path / RECORD, {"status": "completed"})
    named = {key.replace("units", "model.units"): value for key, value in differs.items()}
    done = Job(number, [], named, KEY, path, state="completed")
    done.result = {"validation": {"loss": loss}, "test": {}}
    return done


def kept(jobs: list[Job]) -> list[int]:
    return [each.number for each in jobs if (each.path / "checkpoints").exists()]


def test_the_best_so_far_are_kept_and_the_others_say_that_they_were_dropped(tmp_path):
    jobs = [job(tmp_path, n, loss, units=str(n)) for n, loss in enumerate((0.5, 0.3, 0.4, 0.2))]
    jobs[3].state = "failed"  # it may go on
    plan = Plan(tmp_path, ["model.units"], jobs, "val_loss", "min")
    for typed, expected in (("all", [0, 1, 2, 3]), ("top=2", [1, 2, 3]), ("best", [1, 3])):
        Keeper(typed, plan).drop()
        assert kept(jobs) == expected
    assert [each.dropped for each in jobs] == [True, False, True, False]
    assert read_json(jobs[0].path / RECORD)["dropped"] is True
    for wrong in ("top=0", "top", "worst", "top=x"):
        with pytest.raises(DlrunError, match=f"--keep {wrong}: expected all, best, top=N or none"):
            parse_keep(wrong)


def test_repeats_are_dropped_together_by_their_mean_once_they_are_complete(tmp_path):
    losses = {("8", "0"): 0.1, ("8", "1"): 0.9, ("9", "0"): 0.4, ("9", "1"): 0.4, ("7", "0"): 9.0}
    jobs = [
        job(tmp_path, number, loss, units=units, seed=seed)
        for number, ((units, seed), loss) in enumerate(losses.items())
    ]
    plan = Plan(tmp_path, ["model.units", "seed"], jobs, "val_loss", "min")
    assert repeats_of(plan, None) == 2
    Keeper("best", plan, 2).drop()
    assert kept(jobs) == [2, 3, 4]  # 7 lacks a seed


@pytest.mark.slow
@pytest.mark.trains
def test_a_dropped_run_is_listed_and_made_again_with_the_same_numbers(tmp_path):
    dlrun = Dlrun(tmp_path)
    small = ("data.limit=200", "epochs=1", "model.units=8", "backend=jax")
    swept = dlrun.json("sweep", "seed=1,2,3", *small, "--keep", "best", "--jobs", "1")
    names = {Path(run["run_dir"]).name for run in swept["runs"]}
    best = Path(swept["best"]["run_dir"]).name
    assert set(swept["dropped"]["runs"]) == names - {best}
    assert swept["dropped"]["command"].endswith("--again all")
    gone = swept["dropped"]["runs"][0]
    place = tmp_path / swept["sweep_dir"]
    with pytest.raises(DlrunError, match="its sweep has dropped it") as refused:
        resolve_epoch(find_run(str(place / gone), tmp_path), "best")
    assert refused.value.hint == f"dlrun sweep --resume {place} --again {gone}"

    done = dlrun("sweep", "--resume", swept["sweep_dir"], "--again", gone, "--json")
    assert f"run {gone} has the numbers that it had" in done.stderr
    again = dlrun.parse(done.stdout)
    assert [run["test"] for run in again["runs"]] == [run["test"] for run in swept["runs"]]
    assert gone not in again["dropped"]["runs"]
    plan = read_plan(read_json(place / SWEEP_FILE), place)
    assert [job.path.name for job in plan.jobs if job.pinned] == [gone]  # it stays
    assert (place / gone / "checkpoints").is_dir()

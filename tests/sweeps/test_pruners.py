"""Which runs a search ends, and what it learns from them: real studies over given curves."""

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median

import optuna
import pytest

from conftest import strict_json
from dlrun.config.sweeps.space import Interval
from dlrun.errors import DlrunError
from dlrun.sweeps.by_name import short_name
from dlrun.sweeps.pruners import pruner
from studies import EPOCHS, open_study, run_trial

RATE = {"rate": Interval(1e-6, 1.0, None, log=True)}
ARGUMENTS = {
    "median": "n_startup_trials=2",
    "patient": "wrapped_pruner=hyperband,patience=1",
    "percentile": "percentile=30,n_startup_trials=2",
    "threshold": "upper=1.5",
    "wilcoxon": "p_threshold=0.2",
}
CURVES = {
    "good once": lambda epoch: 0.1 if epoch < 5 else 1.0,
    "one bad epoch": lambda epoch: 50.0 if epoch == 5 else 0.3,
    "no value": lambda epoch: math.nan,
    "getting worse": lambda epoch: 0.1 * epoch,
    "getting better": lambda epoch: 0.9 / epoch,
}


@pytest.mark.parametrize(
    ("typed", "ended"),
    [("median", [7, 9, 1, 7, 1]), ("percentile,percentile=50,recent_epochs=1", [5, 5, 1, 6, 1])],
)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_run_that_was_good_once_and_then_diverges_is_ended(typed, ended, mode):
    sign = 1 if mode == "min" else -1
    study = open_study(RATE, pruner=typed, mode=mode)
    for loss in (0.4, 0.5, 0.6, 0.45, 0.55):  # the median is 0.5 in each epoch
        assert run_trial(study, lambda epoch, rate, loss=loss: sign * loss)[1] == EPOCHS
    for (name, curve), last in zip(CURVES.items(), ended, strict=True):
        _, epoch = run_trial(study, lambda epoch, rate, curve=curve: sign * curve(epoch))
        assert epoch == last, name


def test_hyperbands_brackets_depend_on_the_seed_and_its_largest_resource_is_epochs():
    def last_epochs(name, seed, trials=17):
        study = open_study(RATE, pruner="hyperband", seed=seed, name=name)
        # It stops early, as the first run to complete may. Each run is worse than those before.
        run_trial(study, lambda epoch, rate: 0.0, epochs=2)
        return [run_trial(study, lambda epoch, rate, n=n: n)[1] for n in range(trials)]

    first = last_epochs("one", seed=0, trials=51)
    assert last_epochs("two", seed=0) == first[:17]
    assert last_epochs("one", seed=1) != first[:17]
    # Three brackets end a run first after 1, 3 and 9 epochs. In 17 runs, Hyperband starts 9, 5, 3.
    counts = Counter(first)
    assert counts.keys() == {1, 3, 9}
    for epoch, share in {1: 9, 3: 5, 9: 3}.items():
        assert abs(counts[epoch] - 3 * share) <= 7, counts


PRUNERS = [each for each in optuna.pruners.__all__ if each != "BasePruner"]
FAST = ("HyperbandPruner", "MedianPruner", "WilcoxonPruner")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in PRUNERS]
)
def test_a_search_gives_the_same_trials_again_with_every_pruner(name, tmp_path):
    typed = ",".join(filter(None, [name, ARGUMENTS.get(short_name(name, "pruner"))]))

    def loss(epoch, rate):
        return abs(math.log10(rate) + 3) / 3 + math.sin(5 * epoch / rate) / epoch

    study = open_study(RATE, "tpe,n_startup_trials=3", pruner=typed)
    trials = [run_trial(study, loss) for _ in range(8)]
    lasts = [epoch for _, epoch in trials]
    assert (min(lasts) < EPOCHS) == (name != "NopPruner")
    assert max(lasts) == EPOCHS
    again = []
    for _ in range(2):  # in another process of another name
        study = open_study(
            RATE, "tpe,n_startup_trials=3", pruner=typed, name="two", path=tmp_path / "study.db"
        )
        again += [run_trial(study, loss) for _ in range(3)]
    assert again == trials[:6]


@pytest.mark.slow
def test_pruned_runs_teach_the_gaussian_process_and_may_be_the_best():
    script = """
import json, math, sys
from dlrun.config.sweeps.space import Interval
from studies import open_study, run_trial

space = {"rate": Interval(0.0, 1.0)}
study = open_study(space, "gp,n_startup_trials=6", pruner="threshold,upper=2")
loss = lambda epoch, rate: abs(rate - 0.7) if epoch == 1 else 3.0
drawn = [run_trial(study, loss) for _ in range(12)]
json.dump([drawn, study.best()], sys.stdout)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    drawn, best = strict_json(done.stdout)
    assert [epoch for _, epoch in drawn] == [2] * 12
    distances = [abs(values["rate"] - 0.7) for values, _ in drawn]
    assert median(distances[6:]) < 0.1, "random draws would be 0.27 off"
    assert best["value"] == min(distances)
    assert best["trial"] == distances.index(min(distances))


def test_a_pruner_that_can_not_be_made_is_refused():
    for typed, message in (
        ("median,recent_epochs=0", "recent_epochs: must be at least 1, got 0"),
        ("percentile,percentile=101", "percentile: must be from 0 to 100, got 101"),
        ("percentile", "percentile"),
        ("hyperband,min_resource=10", "min_resource: must be from 1 to 9, got 10"),
        ("hyperband,seed=3", "'seed' is not one of"),
        ("patient,wrapped_pruner=medium,patience=1", "expected one of hyperband, median"),
    ):
        with pytest.raises(DlrunError) as caught:
            pruner(typed, seed=0, epochs=9)
        assert message in caught.value.message
        assert caught.value.exit_code == 2

"""Training that starts from the weights of an earlier run."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import Dlrun
from dlrun.checkpoints.format import read_checkpoint
from dlrun.checkpoints.store import Position, checkpoint_path

SMALL = ("data.vocabulary_size=1000", "epochs=3", "batch_size=32")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A run of the ticket classifier on jax, and what it printed."""
    dlrun = Dlrun(tmp_path_factory.mktemp("classifier"))
    result = dlrun.warm("jax", "train", "model=ticket_classifier", *SMALL)
    return dlrun.path(result), result


def weights(run: Path, epoch: int) -> dict[str, np.ndarray]:
    saved = read_checkpoint(checkpoint_path(run / "checkpoints", Position(epoch)))
    return {variable.path: variable.value for variable in saved.model}


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_features_are_loaded_on_any_backend_and_frozen_ones_do_not_change(
    classifier, dlrun, backend
):
    path, before = classifier
    overrides = (f"init_from={path}", "model.freeze=true", "optimizer.learning_rate=0.01", *SMALL)
    done = dlrun.within(backend, "train", "model=ticket_difficulty", *overrides, "--json")
    assert done.returncode == 0, done.stderr
    line = f"init   6 of 8 variables from {path}, epoch {before['best_epoch']}"
    assert line in done.stderr.splitlines()
    result = dlrun.parse(done.stdout)
    assert dlrun.record(dlrun.path(result))["init_from"] == {
        "run_dir": str(path),
        "epoch": before["best_epoch"],
        "variables": 6,
        "left": ["difficulty/kernel", "difficulty/bias"],
    }
    after, given = weights(dlrun.path(result), 3), weights(path, before["best_epoch"])
    assert set(after) - set(given) == {"difficulty/kernel", "difficulty/bias"}
    assert sum(after[name].size for name in set(after) - set(given)) == 195
    for name, value in given.items():
        np.testing.assert_array_equal(after[name], value)
    for name in ("priority_loss", "department_loss", "department_accuracy"):
        assert result["test"][name] == pytest.approx(before["test"][name], abs=1e-5)
    assert result["test"]["difficulty_accuracy"] > 0.55  # the largest class has two fifths


def test_without_freezing_all_variables_are_trained(classifier, dlrun):
    path, before = classifier
    run = ("model=ticket_difficulty", f"init_from={path}", *SMALL)
    result = dlrun.warm("jax", "train", *run)
    after, given = weights(dlrun.path(result), 3), weights(path, before["best_epoch"])
    assert given
    assert all((after[name] != value).any() for name, value in given.items())


@pytest.mark.slow
def test_the_name_of_the_model_is_ignored(dlrun):
    subclassed = "model=ticket_classifier_subclassed"
    dlrun.warm("jax", "train", subclassed, "data.vocabulary_size=1000", "smoke=true")
    small = ("data.vocabulary_size=1000", "smoke=true", "init_from=latest")
    for model, variables in (("ticket_classifier", 6), ("ticket_classifier_subclassed", 6)):
        result = dlrun.warm("jax", "train", f"model={model}", *small)
        assert dlrun.record(dlrun.path(result))["init_from"]["variables"] == variables


def test_latest_is_recorded_as_the_path_of_the_run(dlrun):
    first = dlrun.warm("jax", "train", "smoke=true")
    second = dlrun.warm("jax", "train", "smoke=true", "init_from=latest", "seed=1")
    path = dlrun.path(second)
    assert dlrun.record(path)["init_from"]["run_dir"] == first["run_dir"]
    config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
    assert config["init_from"] == first["run_dir"]
    assert second["train"]["loss"] < first["train"]["loss"] - 0.5
    # init_from does not matter for the trained weights.
    assert dlrun.warm("jax", "evaluate", path)["metrics"] == pytest.approx(second["test"], abs=1e-6)


def test_a_run_with_random_weights_records_no_initial_run(classifier):
    record = Dlrun(classifier[0]).record(classifier[0])
    assert record["init_from"] is None


def test_a_variable_of_another_shape_is_not_assigned(classifier, dlrun):
    overrides = ("data.vocabulary_size=1000", "data.num_departments=5", "smoke=true")
    result = dlrun.warm(
        "jax", "train", "model=ticket_classifier", f"init_from={classifier[0]}", *overrides
    )
    taken = dlrun.record(dlrun.path(result))["init_from"]
    assert (taken["variables"], taken["left"]) == (4, ["department/kernel", "department/bias"])


@pytest.mark.parametrize(
    ("init_from", "message"),
    [
        ("runs/nowhere", "init_from: no run directory at runs/nowhere"),
        ("latest", "init_from: no runs in runs"),
        ("empty", "init_from: empty is not a run directory: it has no run.json"),
    ],
)
def test_a_missing_run_is_reported_before_a_framework_is_imported(dlrun, init_from, message):
    (dlrun.cwd / "empty").mkdir()
    done = dlrun.here("train", f"init_from={init_from}")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"error: {message}")
    assert not (dlrun.cwd / "runs").exists()


def test_a_run_without_a_checkpoint_is_refused(classifier, trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    for path in (run / "checkpoints").iterdir():
        path.rename(run / path.name)
    done = dlrun.within("jax", "train", f"init_from={run}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: init_from: {run} has no checkpoint")


def test_a_run_without_a_matching_variable_is_refused_and_creates_no_run(classifier, dlrun):
    done = dlrun.within("jax", "train", "model=mnist_mlp", f"init_from={classifier[0]}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: init_from: no variable of {classifier[0]} matches")
    assert "hint: the model has mnist_mlp/hidden/kernel (784, 512)" in done.stderr
    assert not (dlrun.cwd / "runs").exists()

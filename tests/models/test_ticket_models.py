"""The ticket models: several inputs and outputs, by name and by list, and features used again."""

import csv

import numpy as np
import pytest

from conftest import in_turn
from dlrun.data.tickets import tickets
from trainings import BACKENDS, worker

PARAMETERS = {
    "ticket_classifier": 1_286_789,
    "ticket_classifier_subclassed": 1_286_789,
    "ticket_difficulty": 1_286_984,
}
METRICS = [
    *("loss", "priority_loss", "department_loss"),
    *("priority_mean_absolute_error", "department_accuracy"),
]
SMALL = ("data.vocabulary_size=1000", "batch_size=100", "epochs=2")  # the last batch has 80


def predictions(dlrun, run, *arguments):
    dlrun.warm("tensorflow", "predict", run, *arguments, "--output", "predictions.npz")
    with np.load(dlrun.cwd / "predictions.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize(("backend", "model"), in_turn(BACKENDS, list(PARAMETERS)))
def test_each_model_trains_on_each_backend_and_can_be_loaded(dlrun, backend, model):
    result = worker(backend).train(dlrun.cwd, f"model={model}", "epochs=2")
    assert result["parameters"] == PARAMETERS[model]
    assert result["test"]["department_accuracy"] > 0.85
    record = dlrun.record(result["path"])
    assert record["input_shape"] == {"title": [10_000], "text_body": [10_000], "tags": [100]}
    worker(backend).predict(dlrun.cwd, result["path"], "predictions.npz")
    arrays = np.load(dlrun.cwd / "predictions.npz")
    test = tickets(difficulty=True).test.labels
    right = arrays["department_label"] == test["department"]
    assert right.mean() == pytest.approx(result["test"]["department_accuracy"], abs=1e-6)
    error = np.abs(arrays["priority"] - test["priority"]).mean()
    assert error == pytest.approx(result["test"]["priority_mean_absolute_error"], abs=1e-6)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run of the classifier on tensorflow, with its result."""
    from conftest import Dlrun

    dlrun = Dlrun(tmp_path_factory.mktemp("tickets"))
    result = dlrun.warm(
        *("tensorflow", "train", "model=ticket_classifier", *SMALL, "--export-keras")
    )
    return dlrun.path(result), result


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch", "numpy"])
def test_every_backend_logs_the_same_for_each_output(run, dlrun, backend):
    path, result = run
    for batch_size in (100, 320):
        evaluated = worker(backend).evaluate(dlrun.cwd, path, f"batch_size={batch_size}")
        assert list(evaluated["metrics"]) == METRICS
        assert evaluated["metrics"] == pytest.approx(result["test"], abs=1e-5)


def test_the_logged_loss_is_the_sum_over_the_outputs(run):
    path, result = run
    assert list(result["train"]) == list(result["validation"]) == METRICS
    with (path / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for prefix in ("", "val_"):
            loss, *parts = (float(row[prefix + name]) for name in METRICS[:3])
            assert loss == pytest.approx(sum(parts), abs=1e-5)


@pytest.fixture(scope="module")
def by_name(tmp_path_factory):
    """The result of a small run of the classifier on jax."""
    place = tmp_path_factory.mktemp("by_name")
    return worker("jax").train(place, "model=ticket_classifier", *SMALL)


def test_lists_in_order_and_names_are_the_same_run(by_name, dlrun):
    words = ("model=ticket_classifier", "task=tickets_by_list", *SMALL)
    by_list = worker("jax").train(dlrun.cwd, *words)
    for split in ("train", "validation", "test"):
        assert list(by_list[split]) == METRICS
        assert by_list[split] == pytest.approx(by_name[split], abs=1e-6)


def test_the_subclassed_model_is_the_functional_one(by_name, dlrun):
    subclassed = worker("jax").train(dlrun.cwd, "model=ticket_classifier_subclassed", *SMALL)
    assert subclassed["test"] == pytest.approx(by_name["test"], abs=1e-6)


def test_gates_use_the_outputs_names(run, dlrun):
    held = dlrun.within("jax", "evaluate", run[0], "--fail-under", "department_accuracy=0.5")
    assert held.returncode == 0
    broken = dlrun.within("jax", "evaluate", run[0], "--fail-under", "department_accuracy=0.9999")
    assert broken.returncode == 1
    assert "error: department_accuracy" in broken.stderr
    typo = dlrun.within("jax", "evaluate", run[0], "--fail-under", "deparment_accuracy=0.5")
    assert "did you mean --fail-under department_accuracy=0.5?" in typo.stderr


def test_a_metric_of_an_output_can_be_added_to_an_evaluation(run, dlrun):
    spec = "{_target_:keras.metrics.SparseTopKCategoricalAccuracy,k:4}"
    result = dlrun.warm("tensorflow", "evaluate", run[0], f"+task.metrics.department.top4={spec}")
    assert result["metrics"]["department_top4"] == 1


# Prediction


def test_own_inputs_are_predicted_by_name(run, dlrun):
    test = tickets(vocabulary_size=1000).test
    np.savez(dlrun.cwd / "own.npz", **test.inputs, other=np.zeros(3))
    own = predictions(dlrun, run[0], "--input", "own.npz")
    expected = predictions(dlrun, run[0])
    assert list(own) == ["priority", "department", "department_label"]
    assert {name: a.shape for name, a in own.items()} == {
        **{"priority": (320, 1), "department": (320, 4), "department_label": (320,)}
    }
    np.testing.assert_allclose(own["department"].sum(axis=1), 1, atol=1e-5)
    for name, array in own.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6)


def test_csv_has_the_columns_of_every_output(run, dlrun):
    expected = predictions(dlrun, run[0])
    dlrun.warm("tensorflow", "predict", run[0], "--output", "out.csv")
    with (dlrun.cwd / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [f"department_{i}" for i in range(4)]
    assert list(rows[0]) == ["index", "priority", "department_label", *columns]
    np.testing.assert_allclose([float(r["priority"]) for r in rows], expected["priority"][:, 0])
    np.testing.assert_array_equal(
        [int(r["department_label"]) for r in rows], expected["department_label"]
    )
    table = [[float(row[column]) for column in columns] for row in rows]
    np.testing.assert_allclose(table, expected["department"])


def _write_bad_inputs(cwd):
    inputs = tickets(vocabulary_size=1000, test_samples=5).test.inputs
    np.savez(cwd / "two.npz", title=inputs["title"], tags=inputs["tags"])
    np.savez(cwd / "wide.npz", **{**inputs, "tags": inputs["title"]})
    np.savez(cwd / "short.npz", **{**inputs, "tags": inputs["tags"][:3]})
    np.savez(cwd / "text.npz", **{**inputs, "title": np.array(["a"])})
    np.savez(cwd / "good.npz", **inputs)
    np.save(cwd / "one.npy", inputs["title"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--input two.npz", "has no array 'text_body': title, tags"),
        ("--input wide.npz", "array tags: expected shape (samples, 100), got (5, 1000)"),
        ("--input short.npz", "the arrays differ in length: title (5, 1000), text_body (5, 1000)"),
        ("--input text.npz", "array title: expected numbers, got dtype"),
        ("--input one.npy", "expected a .npz file"),
        ("--input good.npz --array title", "the run takes inputs by name: title, text_body, tags"),
    ],
)
def test_invalid_inputs_are_reported(run, dlrun, arguments, message):
    _write_bad_inputs(dlrun.cwd)
    done = dlrun.within("tensorflow", "predict", run[0], *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_invalid_inputs_are_reported_before_a_framework_is_imported(run, dlrun):
    _write_bad_inputs(dlrun.cwd)
    done, imported = dlrun.traced("predict", run[0], "--input", "wide.npz")
    assert done.returncode == 2
    assert not imported & {"keras", "tensorflow"}


def test_the_exported_model_takes_and_returns_named_arrays(run, dlrun):
    test = tickets(vocabulary_size=1000).test
    np.savez(dlrun.cwd / "own.npz", **test.inputs)
    code = (
        "import numpy as np, keras\n"
        f"model = keras.saving.load_model({str(run[0] / 'model.keras')!r})\n"
        "inputs = {n: a.astype('float32') for n, a in np.load('own.npz').items()}\n"
        "np.savez('theirs.npz', **model.predict(inputs, verbose=0))\n"
    )
    worker("jax").run(dlrun.cwd, code)
    ours = predictions(dlrun, run[0])
    with np.load(dlrun.cwd / "theirs.npz") as theirs:
        assert sorted(theirs) == ["department", "priority"]
        for name in theirs:
            np.testing.assert_allclose(theirs[name], ours[name], atol=1e-5)


# Models, labels and tasks that do not match


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("task=tickets", "task=tickets is for outputs department, priority, the data set has one"),
        ("model=ticket_classifier task=classification", "task=classification is for one output"),
        ("model=ticket_classifier data.difficulty=true", "returns outputs department, priority,"),
        ("model=mnist_mlp data=tickets", "data=tickets passes input_shape={'title': (10000,)"),
        ("model.units=-4", "hint: choose another model.units than -4\n"),
        ("model=mnist_convnet model.rate=2", "hint: choose another model.rate than 2"),
        ("model=mixed_functional data=blobs", "needs 2 logits for 2 classes"),
        ("model=mixed_subclassed data=mnist", "expected two classes, got 10"),
    ],
)
def test_a_mismatch_is_reported_and_leaves_no_run(dlrun, overrides, message):
    done = dlrun.within("jax", "train", *overrides.split())
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert not (dlrun.cwd / "runs").exists()

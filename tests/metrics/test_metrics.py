"""The metrics of the books: each is measured on each backend and has the right value."""

import numpy as np
import pytest

from dlrun.data.mnist import mnist
from trainings import BACKENDS, worker

METRICS = (
    "accuracy",
    "sparse_categorical_accuracy",
    "categorical_accuracy",
    "binary_accuracy",
    "auc",
    "precision",
    "recall",
    "mean_absolute_error",
    "root_mean_squared_error",
)


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_each_metric_is_measured_in_training_and_evaluation(dlrun, backend):
    words = (f"backend={backend}", f"metrics=[{','.join(METRICS)}]", "smoke=true", "epochs=3")
    result = dlrun.json("train", *words, "task.monitor=val_auc")
    for split in ("train", "validation", "test"):
        assert list(result[split]) == ["loss", *METRICS]
    evaluated = dlrun.json("evaluate", "latest", "backend=numpy")["metrics"]
    assert evaluated == pytest.approx(result["test"], abs=1e-5)


def test_each_metric_matches_the_predictions(dlrun, trained):
    run = trained.run("jax")
    words = (f"metrics=[{','.join(METRICS)}]", "data.limit=1000")
    metrics = dlrun.json("evaluate", run, *words)["metrics"]
    dlrun.json("predict", run, "data.limit=1000", "--output", dlrun.cwd / "predictions.npz")
    with np.load(dlrun.cwd / "predictions.npz") as arrays:
        probabilities = arrays["predictions"].astype(np.float64)
    one_hot = np.eye(10)[mnist(limit=1000).test.labels]
    hits = probabilities.argmax(axis=1) == one_hot.argmax(axis=1)
    predicted = probabilities > 0.5
    errors = probabilities - one_hot
    # The share of pairs of a right and a wrong class in which the right one is more probable.
    right, wrong = probabilities[one_hot == 1], np.sort(probabilities[one_hot == 0])
    area = np.searchsorted(wrong, right).mean() / len(wrong)
    expected = {
        "accuracy": hits.mean(),
        "sparse_categorical_accuracy": hits.mean(),
        "categorical_accuracy": hits.mean(),
        "binary_accuracy": (predicted == one_hot).mean(),
        "precision": one_hot[predicted].mean(),
        "recall": predicted[one_hot == 1].mean(),
        "mean_absolute_error": np.abs(errors).mean(),
        "root_mean_squared_error": np.sqrt((errors**2).sum(axis=1).mean()),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert metrics["auc"] == pytest.approx(area, abs=2e-3)  # Keras counts at 200 thresholds


def test_metrics_of_two_classes_take_one_logit_and_integer_labels(dlrun):
    words = ("model=mixed_subclassed", "+metrics=[auc,precision,recall,root_mean_squared_error]")
    metrics = dlrun.json("train", *words, "epochs=4", "optimizer.learning_rate=0.01")["test"]
    for name in ("binary_accuracy", "auc", "precision", "recall"):
        assert metrics[name] > 0.98
    assert metrics["root_mean_squared_error"] < 0.15


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_metric_by_name_equals_the_metric_by_class(tmp_path, backend):
    by_name = "+task.metrics.by_name=sparse_categorical_accuracy"
    result = worker(backend).train(tmp_path, by_name, "data.limit=640", "epochs=2")
    for row in result["rows"]:  # metrics are reset each epoch
        assert row["by_name"] == row["accuracy"]
        assert row["val_by_name"] == row["val_accuracy"]

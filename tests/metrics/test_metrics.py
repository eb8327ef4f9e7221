"""The metrics of the books: each is measured on each backend and has the right value."""

import re

import numpy as np
import pytest

from conftest import slow, slow_on
from dlrun.data.mnist import mnist
from trainings import BACKENDS, Refused, worker

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


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_each_metric_is_measured_in_training_and_evaluation(dlrun, backend):
    words = (f"metrics=[{','.join(METRICS)}]", "smoke=true", "epochs=3")
    result = dlrun.warm(backend, "train", *words, "task.monitor=val_auc")
    for split in ("train", "validation", "test"):
        assert list(result[split]) == ["loss", *METRICS]
    evaluated = dlrun.warm("numpy", "evaluate", "latest")["metrics"]
    assert evaluated == pytest.approx(result["test"], abs=1e-5)


def test_each_metric_matches_the_predictions(dlrun, trained):
    run = trained.run("jax")
    words = (f"metrics=[{','.join(METRICS)}]", "data.limit=1000")
    metrics = dlrun.warm("jax", "evaluate", run, *words)["metrics"]
    dlrun.warm("jax", "predict", run, "data.limit=1000", "--output", "predictions.npz")
    with np.load(dlrun.cwd / "predictions.npz") as arrays:
        probabilities = arrays["predictions"].astype(np.float64)
    one_hot = np.eye(10)[mnist(limit=1000).test.labels]
    hits = probabilities.argmax(axis=1) == one_hot.argmax(axis=1)
    above, guess = probabilities > 0.5, np.eye(10)[probabilities.argmax(axis=1)]
    right = (one_hot * guess).sum(axis=0)
    errors = probabilities - one_hot
    # The share of pairs of a right and a wrong class in which the right one is more probable.
    probable, wrong = probabilities[one_hot == 1], np.sort(probabilities[one_hot == 0])
    area = np.searchsorted(wrong, probable).mean() / len(wrong)
    expected = {
        "accuracy": hits.mean(),
        "sparse_categorical_accuracy": hits.mean(),
        "categorical_accuracy": hits.mean(),
        "binary_accuracy": (above == one_hot).mean(),
        "precision": (right / guess.sum(axis=0)).mean(),
        "recall": (right / one_hot.sum(axis=0)).mean(),
        "mean_absolute_error": np.abs(errors).mean(),
        "root_mean_squared_error": np.sqrt((errors**2).sum(axis=1).mean()),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert metrics["auc"] == pytest.approx(area, abs=1e-4)


def test_metrics_of_two_classes_take_one_logit_and_integer_labels(dlrun):
    words = ("model=mixed_subclassed", "+metrics=[auc,precision,recall,root_mean_squared_error]")
    words += ("epochs=4", "optimizer.learning_rate=0.01")
    metrics = dlrun.warm("torch", "train", *words)["test"]
    for name in ("binary_accuracy", "auc", "precision", "recall"):
        assert metrics[name] > 0.98
    assert metrics["root_mean_squared_error"] < 0.15


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_metric_by_name_equals_the_metric_by_class(tmp_path, backend):
    by_name = "+task.metrics.by_name=sparse_categorical_accuracy"
    result = worker(backend).train(tmp_path, by_name, "data.limit=640", "epochs=2")
    assert len(result["rows"]) == 2  # metrics are reset each epoch
    for row in result["rows"]:
        assert row["by_name"] == row["accuracy"]
        assert row["val_by_name"] == row["val_accuracy"]


MODULE = """
import keras

class Confusion(keras.metrics.Metric):
    def __init__(self, name=None):
        super().__init__(name=name)
        self.counts = self.add_weight(shape=(10, 10), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, predicted = keras.ops.one_hot(y_true, 10), keras.ops.softmax(y_pred)
        self.counts.assign_add(keras.ops.matmul(keras.ops.transpose(labels), predicted))

    def result(self):
        return self.counts * 1.0

class Hits(Confusion):
    def result(self):
        return keras.ops.diagonal(self.counts)
"""


@pytest.mark.parametrize(
    ("backend", "loop"),
    [
        ("jax", "raw"),
        ("torch", "fit"),
        *map(slow, ("jax", "torch", "tensorflow", "tensorflow"), ("fit", "raw", "fit", "raw")),
    ],
)
def test_each_value_of_a_metric_with_several_is_logged_and_can_be_monitored(
    tmp_path, backend, loop
):
    (tmp_path / "my_metrics.py").write_text(MODULE)
    words = ("+task.metrics.hits={_target_: my_metrics.Hits}", "data.limit=300", "epochs=2")
    monitor = ("task.monitor=val_hits_3", "task.mode=max")
    result = worker(backend).train(tmp_path, *words, *monitor, f"loop={loop}")
    names = [f"hits_{number}" for number in range(10)]
    for split in ("train", "validation", "test"):
        assert list(result[split]) == ["loss", "accuracy", *names]
    assert {*names, *(f"val_{name}" for name in names)} <= set(result["rows"][0])
    best = max(result["rows"], key=lambda row: row["val_hits_3"])
    assert result["best_epoch"] == best["epoch"]
    assert "hits 0" not in result["log"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("+task.metrics.all={_target_: my_metrics.Confusion}",),
            "task.metrics.all: gives values of shape (10, 10)",
        ),
        (
            ("+metrics=f1_per_class", "task.monitor=val_f1_per_class"),
            "task.monitor=val_f1_per_class: f1_per_class has 10 values; there are"
            " val_f1_per_class_0",
        ),
        (
            ("+metrics=f1_per_class", "task.monitor=val_f1_per_class_10"),
            "task.monitor=val_f1_per_class_10: nothing logs it",
        ),
        (
            ("+task.metrics.f1={_target_: keras.metrics.F1Score}",),
            "task.metrics.f1: can't take labels (4,) and outputs (4, 10): ValueError",
        ),
    ],
)
def test_a_metric_that_can_not_be_logged_is_refused_before_training(tmp_path, words, message):
    (tmp_path / "my_metrics.py").write_text(MODULE)
    with pytest.raises(Refused, match=re.escape(message)) as refused:
        worker("jax").train(tmp_path, *words, "data.limit=300", "epochs=1")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "runs").exists()

"""Runs on tables: every backend and loop, metrics and predictions in the units of the target."""

import numpy as np
import pytest

from conftest import slow_on
from dlrun.data.table import table
from tables import houses, write_all, write_csv
from trainings import worker

pytestmark = pytest.mark.trains
# Each loop on some backend; that the loops agree on all is tested with the loops.
LOOPS = {"jax": ("fit", "raw"), "tensorflow": ("fit", "train_step"), "torch": ("fit", "raw")}
HOUSES = ("data=csv", "data.path=houses.csv", "data.target=price", "epochs=3", "batch_size=16")


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_metrics_and_predictions_are_in_the_units_of_the_target(tmp_path, monkeypatch, backend):
    monkeypatch.chdir(tmp_path)
    write_all(tmp_path)
    of = table(path="houses.csv", target="price")
    rows = np.flatnonzero(of.splits == 2)
    price = np.array([houses()["price"][row] for row in rows])
    trainer = worker(backend)
    losses = []
    for loop in LOOPS[backend]:
        result = trainer.train(tmp_path, *HOUSES, f"loop={loop}")
        trainer.predict(tmp_path, result["path"], tmp_path / "p.npz")
        predicted = np.load("p.npz")["predicted_price"]
        errors = np.abs(predicted - price)
        mean = result["test"]["mean_absolute_error"]
        assert mean == pytest.approx(errors.mean(), rel=1e-5)
        deviation = of.dataset().targets.deviation[0]
        squares = ((predicted - price) ** 2).mean() / deviation**2
        assert result["test"]["loss"] == pytest.approx(squares, rel=1e-4)
        losses.append([row["loss"] for row in result["rows"]])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_ids_texts_and_several_outputs_train_on_every_backend(tmp_path, monkeypatch, backend):
    monkeypatch.chdir(tmp_path)
    columns = houses()
    columns["price"][-1] = 1.0
    words = ["red door", "green roof and old windows", "quiet street near a park"]
    columns["text"] = [f"{words[n % 3]} number {n}" for n in range(120)]
    write_csv(tmp_path / "houses.csv", columns)
    result = worker(backend).train(
        tmp_path,
        "data=csv",
        "data.path=houses.csv",
        "data.target=[price,kind,garden]",
        "+data.categories.encoding=ids",
        "+data.columns.text=text",
        "+data.texts.length=6",
        "epochs=10",
        "batch_size=8",
        "optimizer.learning_rate=0.005",
        "loop=raw",
    )
    assert "data   column 'id' is left out" in result["log"]
    # The words tell the kind.
    assert result["test"]["kind_accuracy"] > 0.9
    assert {"price_mean_absolute_error", "garden_binary_accuracy"} <= set(result["test"])


def test_several_classes_at_once_are_learnt(tmp_path):
    write_all(tmp_path)
    result = worker("jax").train(
        tmp_path, "data=csv", "data.path=films.csv", "data.target=genres", "data.kind=multilabel"
    )
    assert result["test"]["binary_accuracy"] > 0.4
    # A blank cell, once as one that is missing and once as a film of no genre.
    years, genres = range(1950, 1962), ["drama", "", "action|comedy"] * 4
    write_csv(tmp_path / "new.csv", {"year": years, "genres": genres})
    for blank, samples in (("missing", 8), ("no_class", 12)):
        typed = (str(result["path"]), f"data.blank={blank}")
        found = worker("jax").evaluate(tmp_path, *typed, data=str(tmp_path / "new.csv"))
        assert found["samples"] == samples


def test_a_typed_task_decides_what_the_target_is(tmp_path):
    write_all(tmp_path)
    columns = houses()
    columns["stars"] = [n % 3 for n in range(120)]
    write_csv(tmp_path / "stars.csv", columns)
    common = ("data=csv", "data.path=stars.csv", "data.target=stars", "epochs=1")
    assert "accuracy" in worker("torch").train(tmp_path, *common)["test"]
    added = worker("torch").train(tmp_path, *common, "task=regression", "+metrics=r2")["test"]
    assert {"mean_absolute_error", "r2"} <= set(added)

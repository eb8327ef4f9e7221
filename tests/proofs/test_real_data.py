"""Experiments on real data: at least scikit-learn's linear model on the same rows, minus 0.01."""

import csv

import numpy as np
import pytest
from sklearn import datasets
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dlrun.config.compose import compose
from dlrun.data.sklearn import sklearn
from dlrun.data.splits import TEST, TRAIN, VALIDATION
from dlrun.data.table import table
from trainings import worker

SETS = ("breast_cancer", "diabetes", "digits", "wine")


@pytest.mark.parametrize("name", SETS)
def test_the_limit_is_that_of_a_linear_model_on_the_same_rows(name):
    config = compose([f"experiment={name}"])
    given = {k: v for k, v in config.data.items() if not k.startswith(("default_", "_"))}
    splits = sklearn(**given).splits
    bunch = getattr(datasets, f"load_{name}")()
    scores = []
    for rows in ([TRAIN], [TRAIN, VALIDATION]):  # it needs no validation, and may take those rows
        fit, test = np.isin(splits, rows), splits == TEST
        linear = Ridge() if name == "diabetes" else LogisticRegression(max_iter=5000)
        model = make_pipeline(StandardScaler(), linear)
        model.fit(bunch.data[fit], bunch.target[fit])
        scores.append(model.score(bunch.data[test], bunch.target[test]))
    claim = config.reproduces
    assert claim.least == pytest.approx(max(scores) - 0.01, abs=5e-5)
    assert (
        f"{max(scores):.4f} on the same {int((splits == TEST).sum())} test rows" in claim.baseline
    )


def test_a_set_through_a_csv_is_the_same(tmp_path):
    bunch = datasets.load_breast_cancer()
    with (tmp_path / "cells.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*bunch.feature_names, "target"])
        for values, label in zip(bunch.data, bunch.target, strict=True):
            writer.writerow([*map(repr, values.tolist()), bunch.target_names[label]])
    from_csv = table(path=str(tmp_path / "cells.csv"), target="target").dataset()
    data = sklearn(name="breast_cancer").dataset()
    for split in ("train", "validation", "test"):
        ours, theirs = getattr(data, split), getattr(from_csv, split)
        np.testing.assert_array_equal(ours.inputs, theirs.inputs)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert data.targets == from_csv.targets


@pytest.mark.slow
@pytest.mark.trains
def test_a_network_reaches_it(tmp_path):
    result = worker("jax").train(tmp_path, "experiment=wine")
    assert result["test"]["accuracy"] >= compose(["experiment=wine"]).reproduces.least


@pytest.mark.slow
@pytest.mark.trains
def test_every_backend_reaches_it_on_every_set(dlrun):
    result = dlrun.json("reproduce", *SETS, timeout=1200)
    assert result["not_reached"] == 0, result["runs"]

"""How far numbers differ, and which tolerance holds for which model."""

import json
import math

import numpy as np
import pytest

from dlrun.proofs import agreement

PLAIN = {"batch_normalization": False, "convolution": False}


@pytest.mark.parametrize(
    ("layers", "count", "steps", "gated"),
    [
        ({}, 50, 1e-5, 50),
        ({}, 80, 1e-5, 50),
        ({}, 7, 1e-5, 7),
        ({"convolution": True}, 50, 1e-4, 10),
        ({"convolution": True, "batch_normalization": True}, 50, 1e-3, 3),
    ],
)
def test_the_tolerance_is_the_one_that_was_measured_for_such_a_model(layers, count, steps, gated):
    found = agreement.tolerance_for(PLAIN | layers, count)
    assert (found.predictions, found.steps, found.gated) == (1e-5, steps, gated)


def test_the_users_own_tolerance_holds_for_every_step():
    layers = PLAIN | {"batch_normalization": True}
    found = agreement.tolerance_for(layers, 50, steps=0.1)
    assert (found.predictions, found.steps, found.gated) == (1e-5, 0.1, 50)


def test_losses_are_compared_by_step_relative_and_only_the_gated_ones_count():
    tolerance = agreement.Tolerance(1e-5, 1e-3, 2, "")
    found = agreement.losses(
        {"a": [2.0, 1.0, 0.5], "b": [2.0, 1.0001, 1.0], "c": [2.0, 1.01, 0.5], "d": []},
        "a",
        tolerance,
    )
    assert found["differences"] == pytest.approx({"b": 1e-4, "c": 1e-2})
    assert found["largest"]["b"] == {"difference": 1.0, "step": 3}
    assert found["first_beyond"] == {"b": 3, "c": 2}
    assert found["beyond"] == ["c"]


def test_equal_losses_do_not_differ_and_nan_is_within_no_tolerance():
    tolerance = agreement.Tolerance(1e-5, 1e-3, 3, "")
    same = agreement.losses({"a": [0.0, 1.0], "b": [0.0, 1.0]}, "a", tolerance)
    assert (same["differences"], same["beyond"]) == ({"b": 0.0}, [])
    assert same["largest"] == {"b": {"difference": 0.0, "step": None}}
    none = agreement.losses({"a": [1.0, math.nan], "b": [1.0, math.nan]}, "a", tolerance)
    assert (none["differences"], none["beyond"]) == ({"b": None}, ["b"])
    assert none["first_beyond"] == {"b": 2}
    json.dumps(none, allow_nan=False)


def test_a_metric_may_differ_by_samples_on_the_border_and_a_loss_may_not():
    values = {"a": {"loss": 2.0, "accuracy": 0.90}, "b": {"loss": 2.002, "accuracy": 0.902}}
    found = agreement.metrics(values | {"c": None}, "a", 1e-5, scaled=["loss"], samples=1000)
    assert found["loss"]["differences"] == pytest.approx({"b": 1e-3})
    assert found["loss"]["beyond"] == ["b"]
    assert found["accuracy"]["beyond"] == []
    ungated = agreement.metrics(values, "a", None, scaled=["loss"], samples=1000)
    assert ungated["loss"]["beyond"] == []


def test_predictions_are_compared_in_every_output_relative_where_they_are_large():
    own = {"x": np.array([0.5, 100.0]), "y": np.array([1e-3])}
    other = {"x": np.array([0.5, 100.1]), "y": np.array([3e-3])}
    found = agreement.predictions({"a": own, "b": other}, "a", 1e-2)
    assert found["differences"] == pytest.approx({"b": 2e-3})
    assert found["beyond"] == []

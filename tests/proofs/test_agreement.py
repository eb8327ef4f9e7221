"""Differences between numbers, and the tolerance of each kind of model."""

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
def test_the_tolerance_is_the_one_measured_for_the_kind_of_model(layers, count, steps, gated):
    tolerance = agreement.tolerance_for(PLAIN | layers, count)
    assert (tolerance.predictions, tolerance.steps, tolerance.gated) == (1e-5, steps, gated)


def test_the_users_tolerance_applies_to_every_step():
    layers = PLAIN | {"batch_normalization": True}
    tolerance = agreement.tolerance_for(layers, 50, steps=0.1)
    assert (tolerance.predictions, tolerance.steps, tolerance.gated) == (1e-5, 0.1, 50)


def test_losses_are_compared_relatively_and_only_gated_steps_count():
    tolerance = agreement.Tolerance(1e-5, 1e-3, 2, "")
    result = agreement.losses(
        {"a": [2.0, 1.0, 0.5], "b": [2.0, 1.0001, 1.0], "c": [2.0, 1.01, 0.5], "d": []},
        "a",
        tolerance,
    )
    assert result["differences"] == pytest.approx({"b": 1e-4, "c": 1e-2})
    assert result["largest"]["b"] == {"difference": 1.0, "step": 3}
    assert result["first_beyond"] == {"b": 3, "c": 2}
    assert result["beyond"] == ["c"]


def test_equal_losses_do_not_differ_and_nan_is_beyond_any_tolerance():
    tolerance = agreement.Tolerance(1e-5, 1e-3, 3, "")
    same = agreement.losses({"a": [0.0, 1.0], "b": [0.0, 1.0]}, "a", tolerance)
    assert (same["differences"], same["beyond"]) == ({"b": 0.0}, [])
    assert same["largest"] == {"b": {"difference": 0.0, "step": None}}
    nan = agreement.losses({"a": [1.0, math.nan], "b": [1.0, math.nan]}, "a", tolerance)
    assert (nan["differences"], nan["beyond"]) == ({"b": None}, ["b"])
    assert nan["first_beyond"] == {"b": 2}
    json.dumps(nan, allow_nan=False)


def test_a_metric_may_differ_by_a_few_samples_but_a_loss_may_not():
    values = {"a": {"loss": 2.0, "accuracy": 0.90}, "b": {"loss": 2.002, "accuracy": 0.902}}
    result = agreement.metrics(values | {"c": None}, "a", 1e-5, scaled=["loss"], samples=1000)
    assert result["loss"]["differences"] == pytest.approx({"b": 1e-3})
    assert result["loss"]["beyond"] == ["b"]
    assert result["accuracy"]["beyond"] == []
    ungated = agreement.metrics(values, "a", None, scaled=["loss"], samples=1000)
    assert ungated["loss"]["beyond"] == []


def test_predictions_are_compared_in_every_output_relatively_if_large():
    reference = {"x": np.array([0.5, 100.0]), "y": np.array([1e-3])}
    other = {"x": np.array([0.5, 100.1]), "y": np.array([3e-3])}
    result = agreement.predictions({"a": reference, "b": other}, "a", 1e-2)
    assert result["differences"] == pytest.approx({"b": 2e-3})
    assert result["beyond"] == []

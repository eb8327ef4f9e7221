"""Differences between numbers that should be equal, and their tolerances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

PREDICTIONS = 1e-5
# Tolerances of the first steps' losses, relative, measured on two CPU cores in float32, with a
# margin. In mnist_convnet with Adam the rounding error grows by a third per step: from 1e-7 in the
# first to 6e-6 within 10, 8e-5 within 20 and 3e-3 within 50 steps. With batch normalisation no
# digit agrees after 50. In an MLP 50 steps stay within 6e-7.
MEASURED = (
    ("batch_normalization", 1e-3, 3, "models with batch normalisation"),
    ("convolution", 1e-4, 10, "models with convolutions"),
    ("", 1e-5, 50, "models without convolutions and batch normalisation"),
)
# A sample on a class border may fall to either side.
SAMPLES = 2


@dataclass(frozen=True)
class Tolerance:
    """The tolerances of a comparison.

    Args:
        predictions: Largest difference of a prediction, relative for values above 1.
        steps: Largest relative difference of a step's loss.
        gated: The number of first steps that ``steps`` applies to.
        why: The origin of the tolerances, in words.
    """

    predictions: float
    steps: float
    gated: int
    why: str


def tolerance_for(
    measured: Mapping[str, Any],
    count: int,
    *,
    steps: float | None = None,
    predictions: float | None = None,
) -> Tolerance:
    """The tolerance for a model.

    Args:
        measured: The kinds of layers in the model, from :func:`dlrun.proofs.parity_steps.measure`.
        count: The number of steps.
        steps: The user's tolerance for each step; None takes the measured one.
        predictions: The user's tolerance for predictions; None takes the measured one.
    """
    limit, gated, kind = next(row[1:] for row in MEASURED if not row[0] or measured[row[0]])
    why = f"measured for the first {gated} steps of {kind}"
    tolerance = Tolerance(PREDICTIONS, limit, min(gated, count), why)
    if steps is not None:
        tolerance = replace(tolerance, steps=steps, gated=count, why="as typed")
    if predictions is not None:
        tolerance = replace(tolerance, predictions=predictions)
    return tolerance


def predictions(
    arrays: Mapping[str, Mapping[str, np.ndarray]], reference: str, tolerance: float
) -> dict[str, Any]:
    """Compare predictions, by member and output, with those of the reference."""
    differences = {
        name: max(_largest(outputs[key], arrays[reference][key]) for key in outputs)
        for name, outputs in arrays.items()
        if name != reference
    }
    return _entry(differences, tolerance)


def losses(
    by_member: Mapping[str, Sequence[float]], reference: str, tolerance: Tolerance
) -> dict[str, Any]:
    """Compare the losses of each step.

    Args:
        by_member: The losses of each member; empty if it does not train.
        reference: The member to compare with.
        tolerance: Gives ``steps`` and ``gated``.

    Returns:
        The largest difference in the gated steps, the largest in all steps with its step, and the
        first step beyond the tolerance, gated or not. Steps count from 1; None means no step.
    """
    curves = relative(by_member, reference)
    differences = {name: float(np.max(curve[: tolerance.gated])) for name, curve in curves.items()}
    return {
        "count": len(by_member[reference]),
        "gated": tolerance.gated,
        **_entry(differences, tolerance.steps),
        "largest": {
            name: {
                "difference": number(float(np.max(curve))),
                "step": _first(curve == np.max(curve)) if np.any(curve) else None,
            }
            for name, curve in curves.items()
        },
        "first_beyond": {n: _first(~(curve <= tolerance.steps)) for n, curve in curves.items()},
    }


def relative(by_member: Mapping[str, Sequence[float]], reference: str) -> dict[str, np.ndarray]:
    """Each step's relative difference from the reference, ``(steps,)``, of members that train."""
    expected = np.asarray(by_member[reference])
    scale = np.where(expected, np.abs(expected), 1)
    with np.errstate(invalid="ignore"):  # of infinities
        return {
            name: np.where(expected == losses, 0, np.abs(expected - losses) / scale)
            for name, losses in by_member.items()
            if name != reference and len(losses)
        }


def metrics(
    by_member: Mapping[str, Mapping[str, float] | None],
    reference: str,
    tolerance: float | None,
    *,
    scaled: Sequence[str],
    samples: int,
) -> dict[str, Any]:
    """Compare metrics by name.

    Args:
        by_member: The metrics of each member; None if it has none.
        reference: The member to compare with.
        tolerance: None for no limit.
        scaled: The losses, which are compared relatively; the others only where they are above 1.
            These may differ by more, since single samples may change class.
        samples: The number of samples that they are computed on.
    """
    present = {name: values for name, values in by_member.items() if values is not None}
    result = {}
    for metric in present[reference]:
        values = {name: metrics[metric] for name, metrics in present.items()}
        expected = values[reference]
        # Relative above 1, as for predictions.
        scale = abs(expected) if metric in scaled and expected else max(1, abs(expected))
        differences = {
            name: 0.0 if value == expected else abs(value - expected) / scale
            for name, value in values.items()
            if name != reference
        }
        allowed = tolerance
        if tolerance is not None and metric not in scaled:
            allowed = tolerance + SAMPLES / samples
        shown = {name: number(value) for name, value in values.items()}
        result[metric] = {"values": shown, **_entry(differences, allowed)}
    return result


def number(value: float) -> float | None:
    """A number as JSON allows it; None for NaN and infinity."""
    return value if math.isfinite(value) else None


def _largest(actual: np.ndarray, expected: np.ndarray) -> float:
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    return float(np.max(np.abs(actual - expected) / np.maximum(np.abs(expected), 1)))


def _first(mask: np.ndarray) -> int | None:
    return int(np.argmax(mask)) + 1 if mask.any() else None


def _entry(differences: Mapping[str, float], tolerance: float | None) -> dict[str, Any]:
    # A NaN difference is beyond any tolerance.
    return {
        "tolerance": tolerance,
        "differences": {name: number(value) for name, value in differences.items()},
        "beyond": [
            name
            for name, value in differences.items()
            if tolerance is not None and not value <= tolerance
        ],
    }

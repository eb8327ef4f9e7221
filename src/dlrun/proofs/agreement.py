"""How far numbers differ that should be the same, and how far they may."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

PREDICTIONS = 1e-5
# How far the losses of so many steps may differ, relative: measured on two CPU cores in float32,
# with room to spare. From step to step rounding grows by a third in mnist_convnet with Adam, from
# 1e-7 in the first to 6e-6 within 10, 8e-5 within 20 and 3e-3 within 50; with batch normalisation
# nothing is alike after 50. In an MLP 50 steps stay within 6e-7.
MEASURED = (
    ("batch_normalization", 1e-3, 3, "models with batch normalisation"),
    ("convolution", 1e-4, 10, "models with convolutions"),
    ("", 1e-5, 50, "models without convolutions and batch normalisation"),
)
# A sample on the border between two classes may fall to either side.
SAMPLES = 2


@dataclass(frozen=True)
class Tolerance:
    """How far numbers may differ.

    Args:
        predictions: Largest difference of a prediction, relative where it is above 1.
        steps: Largest relative difference of a step's loss.
        gated: How many of the steps, from the first, it holds for.
        why: Where it comes from, in words.
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
        measured: What a process of ``dlrun parity`` told of the model's layers.
        count: How many steps are taken.
        steps: The user's own, for each step; None takes the one that was measured.
        predictions: The user's own.
    """
    limit, gated, kind = next(row[1:] for row in MEASURED if not row[0] or measured[row[0]])
    why = f"measured for the first {gated} steps of {kind}"
    found = Tolerance(PREDICTIONS, limit, min(gated, count), why)
    if steps is not None:
        found = replace(found, steps=steps, gated=count, why="as typed")
    return found if predictions is None else replace(found, predictions=predictions)


def predictions(
    arrays: Mapping[str, Mapping[str, np.ndarray]], reference: str, tolerance: float
) -> dict[str, Any]:
    """Compare predictions, by member and output, with those of the reference."""
    differences = {
        name: max(_largest(own[output], arrays[reference][output]) for output in own)
        for name, own in arrays.items()
        if name != reference
    }
    return _entry(differences, tolerance)


def losses(
    by_member: Mapping[str, Sequence[float]], reference: str, tolerance: Tolerance
) -> dict[str, Any]:
    """Compare the losses of each step.

    Args:
        by_member: Of each member; empty where it does not train.
        reference: The member to compare with.
        tolerance: Its ``steps`` and ``gated``.

    Returns:
        The largest difference of the gated steps, that of all steps and where it is, and the first
        step beyond the tolerance, gated or not. Steps count from 1; None is no step.
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
    """Each step's relative difference from the reference, ``(steps,)``, of those that train."""
    theirs = np.asarray(by_member[reference])
    scale = np.where(theirs, np.abs(theirs), 1)
    with np.errstate(invalid="ignore"):  # of infinities
        return {
            name: np.where(theirs == own, 0, np.abs(theirs - own) / scale)
            for name, own in by_member.items()
            if name != reference and len(own)
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
        by_member: None where there are none.
        reference: The member to compare with.
        tolerance: None where nothing is expected of them.
        scaled: The losses, whose relative difference counts; the others may differ by more, as
            single samples change sides.
        samples: How many they are measured on.
    """
    there = {name: values for name, values in by_member.items() if values is not None}
    found = {}
    for metric in there[reference]:
        values = {name: own[metric] for name, own in there.items()}
        theirs = values[reference]
        scale = abs(theirs) if metric in scaled and theirs else 1
        differences = {
            name: 0.0 if own == theirs else abs(own - theirs) / scale
            for name, own in values.items()
            if name != reference
        }
        allowed = tolerance
        if tolerance is not None and metric not in scaled:
            allowed = tolerance + SAMPLES / samples
        shown = {name: number(value) for name, value in values.items()}
        found[metric] = {"values": shown, **_entry(differences, allowed)}
    return found


def number(value: float) -> float | None:
    """A number that JSON has; None for NaN and infinity."""
    return value if math.isfinite(value) else None


def _largest(own: np.ndarray, theirs: np.ndarray) -> float:
    own, theirs = own.astype(np.float64), theirs.astype(np.float64)
    return float(np.max(np.abs(own - theirs) / np.maximum(np.abs(theirs), 1)))


def _first(there: np.ndarray) -> int | None:
    return int(np.argmax(there)) + 1 if there.any() else None


def _entry(differences: Mapping[str, float], tolerance: float | None) -> dict[str, Any]:
    # A difference that is no number is within no tolerance.
    return {
        "tolerance": tolerance,
        "differences": {name: number(value) for name, value in differences.items()},
        "beyond": [
            name
            for name, value in differences.items()
            if tolerance is not None and not value <= tolerance
        ],
    }

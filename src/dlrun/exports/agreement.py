"""How far the outputs of an exported file are from the run's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PROBABILITIES = ("softmax", "sigmoid")
# Of the largest difference: measured 2e-6 at most where a runtime computes in float32, 6e-3 where
# it computes in bfloat16. int8 is gated by the classes instead, and by a bound on the difference.
TOLERANCES = {"float32": 1e-4, "default": 3e-2, "float16": 2e-2, "int8": 0.5}
LEAST_AGREEMENT = {"float32": 0.0, "default": 0.95, "float16": 0.95, "int8": 0.9}


def agreement(
    reference: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    described: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Compare outputs.

    Args:
        reference: What the run predicts, by output, ``(samples, ...)``.
        outputs: What the file returns.
        described: The outputs, as in :class:`dlrun.exports.content.Content`.

    Returns:
        ``difference``: the largest, of probabilities as it is, else as a share of the output's
        largest value; None if a value is not finite where the run's is, or a shape differs.
        ``agreement``: the share of samples whose classes are all the same; None without classes.
        ``problem``: what is wrong beyond numbers; None for nothing.
    """
    worst, same, problem = 0.0, None, None
    for output in described:
        name = output["name"]
        expected = reference[name].astype(np.float64)
        actual = np.asarray(outputs.get(name, np.zeros(0))).astype(np.float64)
        if actual.shape != expected.shape:
            problem = f"{name} has the shape {actual.shape}, expected {expected.shape}"
            break
        if not np.array_equal(np.isfinite(actual), np.isfinite(expected)):
            problem = f"{name} is not finite where the run's is, or the other way round"
            break
        finite = np.isfinite(expected)
        scale = float(np.abs(expected[finite]).max(initial=0)) or 1.0
        scale = 1.0 if output.get("activation") in PROBABILITIES else scale
        gap = float(np.abs(actual[finite] - expected[finite]).max(initial=0)) / scale
        worst = max(worst, gap)
        if (classes := _classes(expected, output)) is not None:
            equal = (classes == _classes(actual, output)).reshape(len(expected), -1).all(axis=1)
            same = equal if same is None else same & equal
    share = None if same is None or problem else float(same.mean())
    return {"difference": None if problem else worst, "agreement": share, "problem": problem}


def passes(found: Mapping[str, Any], tolerance: float, least: float) -> bool:
    """Whether a comparison is within its limits."""
    if found["problem"] is not None or not found["difference"] <= tolerance:
        return False
    return found["agreement"] is None or found["agreement"] >= least


def _classes(values: np.ndarray, output: Mapping[str, Any]) -> np.ndarray | None:
    """The classes that an output names; None if it names none."""
    kind, activation = output.get("kind"), output.get("activation")
    if kind == "regression":
        return None
    if activation == "sigmoid" or kind in ("binary_classification", "multilabel"):
        return values > 0.5
    return (
        values.argmax(axis=-1) if values.ndim > 1 and values.shape[-1] > 1 and activation else None
    )

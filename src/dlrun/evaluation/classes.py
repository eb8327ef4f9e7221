"""Figures of classes: exact counts over all positions, as scikit-learn defines them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dlrun.evaluation.form import BINARY, MULTILABEL
from dlrun.evaluation.outcome import Outcome
from dlrun.evaluation.table import Table

THRESHOLDS = tuple(round(0.05 * number, 2) for number in range(1, 20))


def class_scores(
    right: np.ndarray, predicted: np.ndarray, actual: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class; 0 where nothing is predicted, or there.

    Args:
        right: The positions of each class that were predicted as such, ``(..., classes)``.
        predicted: Those predicted as the class.
        actual: Those of the class.
    """
    return _ratio(right, predicted), _ratio(right, actual), _ratio(2 * right, predicted + actual)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    out = np.zeros(np.shape(part))
    return np.asarray(np.divide(part, whole, out=out, where=np.asarray(whole) > 0))


def per_class(outcome: Outcome) -> Table:
    """Precision, recall, F1 and support of each class."""
    scores = class_scores(outcome.right, outcome.predicted, outcome.actual)
    columns = [values.tolist() for values in (*scores, outcome.actual)]
    rows = list(zip(outcome.form.names, *columns, strict=True))
    return Table(("class", "precision", "recall", "f1", "support"), rows)


def confusion_matrix(outcome: Outcome) -> Table:
    """A row for each true class, with the number that was predicted as each class."""
    names = outcome.form.names
    counts = outcome.confusion.tolist()
    return Table(("true", *names), [(n, *row) for n, row in zip(names, counts, strict=True)])


def summary(outcome: Outcome) -> dict[str, float]:
    """Figures over all classes, each by its name in scikit-learn."""
    kind, positions = outcome.form.kind, max(outcome.positions, 1)
    right, actual = outcome.right.sum(), outcome.actual
    precision, recall, f1 = class_scores(outcome.right, outcome.predicted, actual)
    found: dict[str, float] = {}
    if kind == MULTILABEL:
        wrong = (outcome.predicted + actual - 2 * outcome.right).sum()
        found["hamming_loss"] = float(wrong / (positions * len(actual)))
        sums = (np.asarray(each.sum()) for each in (outcome.right, outcome.predicted, actual))
        micro = class_scores(*sums)
        found["f1_micro"] = float(micro[2])
    else:
        found["accuracy"] = float(right / positions)
        found["balanced_accuracy"] = float(recall[actual > 0].mean()) if actual.any() else 0.0
    # Macro means are over the classes that occur, in the truth or among the predictions.
    there = (actual + outcome.predicted) > 0
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        found[f"{name}_macro"] = float(values[there].mean()) if there.any() else 0.0
        weights = actual / np.maximum(actual.sum(), 1)
        found[f"{name}_weighted"] = float((values * weights).sum())
    if kind != MULTILABEL:
        found["matthews_corrcoef"] = matthews(right, outcome.predicted, actual)
    if outcome.are_probabilities:
        each = positions * (len(actual) if kind == MULTILABEL else 1)
        found["log_loss"] = outcome.log_loss / each
        found["brier_score"] = outcome.squared / each
    return found


def matthews(right: Any, predicted: np.ndarray, actual: np.ndarray) -> float:
    """The correlation of true and predicted classes; 0 if one of them does not vary."""
    # Floats: products of counts overflow integers.
    right, predicted, actual = float(right), predicted.astype(float), actual.astype(float)
    positions = actual.sum()
    together = right * positions - predicted @ actual
    apart = (positions**2 - predicted @ predicted) * (positions**2 - actual @ actual)
    return float(together / math.sqrt(apart)) if apart > 0 else 0.0


def threshold_table(outcome: Outcome) -> Table:
    """What a binary output would reach if class 1 began at other probabilities than 0.5."""
    assert outcome.form.kind == BINARY
    # Above a threshold, as predictions are above 0.5.
    order = np.argsort(outcome.scores[:, 0], kind="stable")
    scores, truth = outcome.scores[order, 0].astype(np.float64), outcome.truth[order]
    first = np.searchsorted(scores, THRESHOLDS, side="right")
    positives = np.concatenate([[0], np.cumsum(truth)])
    total, positions = positives[-1], len(truth)
    right = total - positives[first]
    chosen = positions - first
    precision, recall, f1 = class_scores(right, chosen, np.full(len(first), total))
    below = first - positives[first]  # class 0, and predicted as such
    specificity = _ratio(below, np.full(len(first), positions - total))
    accuracy = (right + below) / max(positions, 1)
    columns = [v.tolist() for v in (precision, recall, f1, specificity, accuracy)]
    return Table(
        ("threshold", "precision", "recall", "f1", "specificity", "accuracy"),
        list(zip(THRESHOLDS, *columns, strict=True)),
    )

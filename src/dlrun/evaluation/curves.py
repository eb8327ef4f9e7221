"""ROC, precision-recall and calibration curves, one class against the rest.

Each equals scikit-learn's, whose import takes longer than a short run trains.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from dlrun.evaluation.form import BINARY, MULTILABEL
from dlrun.evaluation.outcome import Outcome
from dlrun.evaluation.table import Table

MOST_CLASSES = 100  # that have curves
POINTS = 100  # of a curve in a table
BINS = 10  # of a calibration curve

Curve = tuple[np.ndarray, ...]


def each_class(outcome: Outcome) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, truth ``(positions,)`` bool, and score ``(positions,)`` of each class with a curve."""
    truth, scores, names = outcome.truth, outcome.scores, outcome.form.names
    if outcome.form.kind == BINARY:
        yield names[1], truth == 1, scores[:, 0]
        return
    for number, name in enumerate(names):
        is_true = truth[:, number] if outcome.form.kind == MULTILABEL else truth == number
        yield name, is_true, scores[:, number]


class Ranking:
    """The positions above each distinct score, from the highest.

    Args:
        truth: Whether each position is of the class, ``(positions,)`` bool.
        scores: ``(positions,)``.
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        order = np.argsort(-scores)  # in any order of equal ones
        ordered = scores[order]
        ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        self.thresholds = ordered[ends].astype(np.float64)
        self.right = np.cumsum(truth[order])[ends]
        self.wrong = ends + 1 - self.right
        self._order, self._ends, self._truth = order, ends, truth[order]

    def roc(self) -> Curve:
        """Thresholds, false and true positive rates; from (0, 0), without points on a line."""
        wrong, right, thresholds = self.wrong, self.right, self.thresholds
        if len(right) > 2:
            bends = (np.diff(wrong, 2) != 0) | (np.diff(right, 2) != 0)
            kept = np.flatnonzero(np.concatenate([[True], bends, [True]]))
            wrong, right, thresholds = wrong[kept], right[kept], thresholds[kept]
        wrong, right = np.append(0, wrong), np.append(0, right)
        return np.append(np.inf, thresholds), wrong / wrong[-1], right / right[-1]

    def precision_recall(self) -> Curve:
        """Thresholds, precision and recall, from the lowest; the last point has no threshold."""
        precision = self.right / (self.right + self.wrong)
        recall = self.right / self.right[-1]
        ends = np.append(self.thresholds[::-1], np.nan)
        return ends, np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0)

    def areas(self, weights: np.ndarray) -> tuple[float, float] | None:
        """Area under the ROC curve, and average precision, if positions count more or less.

        Args:
            weights: How often each position counts, ``(positions,)``.

        Returns:
            None if only one kind of position counts: there is no curve.
        """
        counts = weights[self._order]
        right = np.cumsum(counts * self._truth)[self._ends]
        above = np.cumsum(counts)[self._ends]
        wrong = above - right
        if not (right[-1] and wrong[-1]):
            return None
        gains, steps = np.diff(right, prepend=0), np.diff(wrong, prepend=0)
        under = steps @ (right - gains / 2) / (right[-1] * wrong[-1])
        precise = gains @ (right / np.maximum(above, 1)) / right[-1]
        return float(under), float(precise)

    @property
    def has_both(self) -> bool:
        """Whether some positions are of the class, and some are not: else there is no curve."""
        return bool(len(self.right) and self.right[-1] and self.wrong[-1])


def area(roc: Curve) -> float:
    """The area under a ROC curve."""
    _, wrong, right = roc
    return float(np.trapezoid(right, wrong))


def average_precision(pairs: Curve) -> float:
    """The mean of the precision, weighted by the gains in recall."""
    _, precision, recall = pairs
    return float(-np.sum(np.diff(recall) * precision[:-1]))


def calibration(truth: np.ndarray, scores: np.ndarray) -> Curve:
    """Mean probability, share of the class, and count, of each tenth that is not empty."""
    places = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], scores)
    counts = np.bincount(places, minlength=BINS)
    sums = [np.bincount(places, weights, BINS) for weights in (scores, truth.astype(float))]
    there = counts > 0
    return *(total[there] / counts[there] for total in sums), counts[there]


def curve_tables(outcome: Outcome) -> tuple[dict[str, Table], dict[str, float]]:
    """The curves of every class by file, and the means of their areas over the classes."""
    roc, pairs, bins = [], [], []
    areas: list[tuple[float, float]] = []
    for name, truth, scores in each_class(outcome):
        ranking = Ranking(truth, scores)
        if outcome.are_probabilities:
            bins += _rows(name, calibration(truth, scores))
        if ranking.has_both:
            of_class = ranking.roc(), ranking.precision_recall()
            areas.append((area(of_class[0]), average_precision(of_class[1])))
            roc += _rows(name, of_class[0])
            pairs += _rows(name, of_class[1])
    tables = {
        "roc": Table(("class", "threshold", "false_positive_rate", "true_positive_rate"), roc),
        "precision_recall": Table(("class", "threshold", "precision", "recall"), pairs),
        "calibration": Table(("class", "mean_probability", "fraction_of_positives", "count"), bins),
    }
    means = np.mean(areas, axis=0).tolist() if areas else []
    names = ("roc_auc", "average_precision")
    suffix = "" if outcome.form.kind == BINARY else "_macro"
    found = {f"{name}{suffix}": mean for name, mean in zip(names, means, strict=False)}
    return {name: table for name, table in tables.items() if table.rows}, found


def _rows(name: str, curve: Curve) -> list[tuple[object, ...]]:
    """A curve's points, thinned evenly; a threshold that is not a number is None."""
    count = len(curve[0])
    points = min(count, POINTS)
    kept = np.arange(points) * (count - 1) // max(points - 1, 1)
    # Scores are float32: more digits say nothing.
    columns = [values[kept].round(9).tolist() for values in curve]
    if math.isnan(columns[0][-1]):
        columns[0][-1] = None
    return list(zip(itertools.repeat(name, len(kept)), *columns, strict=True))

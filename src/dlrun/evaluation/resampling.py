"""Intervals of figures, by drawing the samples of a split again.

Samples are drawn, not steps of sequences: the steps of one sample are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dlrun.errors import DlrunError
from dlrun.evaluation.classes import class_scores, matthews
from dlrun.evaluation.curves import MOST_CLASSES, Ranking, each_class
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS
from dlrun.evaluation.outcome import Outcome

LEVEL = 0.95

Interval = tuple[float, float]


def predictions(outcome: Outcome) -> np.ndarray:
    """What was predicted: class numbers ``(positions,)``, truth values, or numbers."""
    kind, scores = outcome.form.kind, outcome.scores
    if kind == CLASSES:
        return np.asarray(scores.argmax(axis=1))
    if kind == BINARY:
        return np.asarray(scores[:, 0] > 0.5).astype(np.int64)
    return np.asarray(scores > 0.5) if kind == MULTILABEL else scores.astype(np.float64)


def draws(outcome: Outcome, repeats: int) -> Iterator[np.ndarray]:
    """How often each position is drawn, ``(positions,)``; the same for the same split."""
    groups = outcome.groups
    numbers, places = np.unique(groups, return_inverse=True)
    generator = np.random.default_rng(0)
    count = len(numbers)
    for _ in range(repeats):
        drawn = np.bincount(generator.integers(0, count, count), minlength=count)
        yield drawn[places] if outcome.has_steps else drawn


def intervals(outcome: Outcome, repeats: int) -> dict[str, Any]:
    """The interval of each figure, 95 % of the values that resampled splits have.

    Args:
        outcome: Of one output.
        repeats: How many splits are drawn.

    Returns:
        ``summary``, a mapping of intervals by figure; ``per_class`` or ``per_target``, one by class
        or target, and by figure.

    Raises:
        DlrunError: If the outputs are too large, and were not kept.
    """
    require_kept(outcome, "--bootstrap")
    make = _numbers_of if outcome.form.kind == NUMBERS else _classes_of
    figures = make(outcome)
    drawn = [figures(weights) for weights in draws(outcome, repeats)]
    summary = {name: interval([of[0][name] for of in drawn]) for name in drawn[0][0]}
    each = {
        name: np.quantile([of[1][name] for of in drawn], _edges(), axis=0) for name in drawn[0][1]
    }
    rows = {
        of_name: {name: tuple(edges[:, place].tolist()) for name, edges in each.items()}
        for place, of_name in enumerate(outcome.form.names)
    }
    part = "per_target" if outcome.form.kind == NUMBERS else "per_class"
    return {"repeats": repeats, "summary": summary, part: rows}


Figures = tuple[dict[str, float], dict[str, np.ndarray]]


def _classes_of(outcome: Outcome) -> Callable[[np.ndarray], Figures]:
    """Figures of classes from how often each position counts."""
    truth, chosen, classes = outcome.truth, predictions(outcome), len(outcome.form.names)
    several = outcome.form.kind == MULTILABEL
    losses, areas = _losses_of(outcome), _areas_of(outcome)

    def figures(weights: np.ndarray) -> Figures:
        if several:
            right, predicted, actual = (
                weights @ values for values in (truth & chosen, chosen, truth)
            )
        else:
            right = np.bincount(truth, weights * (truth == chosen), classes)
            predicted = np.bincount(chosen, weights, classes)
            actual = np.bincount(truth, weights, classes)
        scores = class_scores(right, predicted, actual)
        there, total = (actual + predicted) > 0, weights.sum()
        found = {}
        for name, values in zip(("precision", "recall", "f1"), scores, strict=True):
            found[f"{name}_macro"] = float(values[there].mean())
            found[f"{name}_weighted"] = float((values * actual).sum() / max(actual.sum(), 1))
        if several:
            wrong = (predicted + actual - 2 * right).sum()
            found["hamming_loss"] = float(wrong / (total * classes))
        else:
            found["accuracy"] = float(right.sum() / total)
            found["balanced_accuracy"] = float(scores[1][actual > 0].mean())
            found["matthews_corrcoef"] = matthews(right.sum(), predicted, actual)
        found |= {name: float(weights @ each / total) for name, each in losses.items()}
        found |= areas(weights)
        return found, dict(zip(("precision", "recall", "f1"), scores, strict=True))

    return figures


def _losses_of(outcome: Outcome) -> dict[str, np.ndarray]:
    """Log loss and Brier score of each position; none if the outputs are not probabilities."""
    if not outcome.are_probabilities:
        return {}
    truth, scores = outcome.truth, outcome.scores.astype(np.float64)
    if outcome.form.kind == CLASSES:
        true = truth[:, None] == np.arange(scores.shape[1])
        given = scores[np.arange(len(truth)), truth]
    else:
        true = (truth if outcome.form.kind == MULTILABEL else truth[:, None]).astype(bool)
        given = np.where(true, scores, 1 - scores)
    losses = -np.log(np.maximum(given, np.finfo(np.float64).tiny))
    squares = np.square(scores - true)
    if outcome.form.kind == CLASSES:
        return {"log_loss": losses, "brier_score": squares.sum(axis=1)}
    return {"log_loss": losses.mean(axis=1), "brier_score": squares.mean(axis=1)}


def _areas_of(outcome: Outcome) -> Callable[[np.ndarray], dict[str, float]]:
    """The means of the areas of :func:`dlrun.evaluation.curves.curve_tables`."""
    if len(outcome.form.names) > MOST_CLASSES or not np.isfinite(outcome.scores).all():
        return lambda weights: {}
    rankings = [Ranking(truth, scores) for _, truth, scores in each_class(outcome)]
    rankings = [ranking for ranking in rankings if ranking.has_both]
    suffix = "" if outcome.form.kind == BINARY else "_macro"
    names = [f"{name}{suffix}" for name in ("roc_auc", "average_precision")]

    def areas(weights: np.ndarray) -> dict[str, float]:
        # Of a split in which a class does not occur, the others.
        found = [area for ranking in rankings if (area := ranking.areas(weights)) is not None]
        means = np.mean(found, axis=0).tolist() if found else [np.nan] * len(names)
        return dict(zip(names, means, strict=True)) if rankings else {}

    return areas


def _numbers_of(outcome: Outcome) -> Callable[[np.ndarray], Figures]:
    """Figures of numbers from how often each position counts."""
    truth = outcome.truth.astype(np.float64)
    errors = predictions(outcome) - truth
    centred = truth - truth.mean(axis=0)
    parts = (np.abs(errors), np.square(errors), errors, centred, np.square(centred))

    def figures(weights: np.ndarray) -> Figures:
        total = weights.sum()
        absolute, squared, mean, first, second = (weights @ part / total for part in parts)
        variance = second - first**2
        r2 = 1 - squared / np.where(variance > 0, variance, np.inf)
        root = np.sqrt(squared)
        each = {"r2": r2, "mean_absolute_error": absolute, "root_mean_squared_error": root}
        each["mean_error"] = mean
        found = {name: float(values.mean()) for name, values in each.items()}
        found["root_mean_squared_error"] = float(np.sqrt(squared.mean()))
        return found, each

    return figures


def require_kept(outcome: Outcome, option: str) -> None:
    """Check that there are samples, and that their outputs were kept.

    Raises:
        DlrunError: If not.
    """
    if not outcome.is_kept:
        raise DlrunError(
            f"{option}: the outputs have {outcome.bytes / 1e6:,.0f} MB, too many to keep",
            hint="fewer samples: data.limit=1000",
        )
    if not outcome.positions:
        raise DlrunError(f"{option}: no sample counts")


def _edges() -> Interval:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def interval(values: Any) -> Interval:
    """The middle 95 % of values, of which some may be nan: there is no figure in that draw."""
    low, high = np.nanquantile(values, _edges()).tolist()
    return low, high

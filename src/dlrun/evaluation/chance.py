"""How much of a figure is chance: intervals by resampling, and tests of a difference.

Samples are drawn, not steps of sequences: the steps of one sample are no independent witnesses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlrun.errors import DlrunError
from dlrun.evaluation.classes import class_scores, matthews
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS
from dlrun.evaluation.outcome import Outcome

LEVEL = 0.95
REPEATS = 2000  # of a comparison
SIGNIFICANT = 0.05

Interval = tuple[float, float]


def predictions(outcome: Outcome) -> np.ndarray:
    """What was predicted: class numbers ``(positions,)``, truth values, or numbers."""
    kind, scores = outcome.form.kind, outcome.scores
    if kind == CLASSES:
        return np.asarray(scores.argmax(axis=1))
    if kind == BINARY:
        return np.asarray(scores[:, 0] > 0.5).astype(np.int64)
    return np.asarray(scores > 0.5) if kind == MULTILABEL else scores.astype(np.float64)


def _draws(outcome: Outcome, repeats: int) -> Iterator[np.ndarray]:
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
    _require_kept(outcome, "--bootstrap")
    make = _numbers_of if outcome.form.kind == NUMBERS else _classes_of
    figures = make(outcome)
    drawn = [figures(weights) for weights in _draws(outcome, repeats)]
    summary = {name: _interval([of[0][name] for of in drawn]) for name in drawn[0][0]}
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
        return found, dict(zip(("precision", "recall", "f1"), scores, strict=True))

    return figures


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


@dataclass(frozen=True)
class Comparison:
    """Whether one run is better than another on the same samples.

    Args:
        metric: What is compared.
        value: Of the run.
        other: Of the run that it is compared with.
        difference: The first less the second.
        interval: Of the difference, 95 %.
        test: ``mcnemar`` or ``paired bootstrap``.
        p_value: How likely so large a difference is if there is none.
        significant: Whether that is below 0.05.
        only_right: Samples that only the run has right; None where right and wrong say nothing.
        only_other_right: Those that only the other has right.
    """

    metric: str
    value: float
    other: float
    difference: float
    interval: Interval
    test: str
    p_value: float
    significant: bool
    only_right: int | None = None
    only_other_right: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def compare(outcome: Outcome, other: Outcome) -> Comparison:
    """Compare two runs on the same samples.

    One class a sample is tested with McNemar's exact test, all else by resampling samples.

    Raises:
        DlrunError: If the samples are not the same, or their outputs were not kept.
    """
    for each in (outcome, other):
        _require_kept(each, "--against")
    _require_same(outcome, other)
    metric, values = _compared(outcome)
    _, others = _compared(other)
    differences = values - others
    drawn = np.array(
        [weights @ differences / weights.sum() for weights in _draws(outcome, REPEATS)]
    )
    exact = outcome.form.kind in (CLASSES, BINARY) and not outcome.has_steps
    counts: Mapping[str, int] = {}
    if exact:
        counts = {
            "only_right": int((differences > 0).sum()),
            "only_other_right": int((differences < 0).sum()),
        }
        p_value = mcnemar(*counts.values())
    else:
        # One more on each side: no number of draws shows that something never happens.
        sides = [(np.count_nonzero(side) + 1) / (REPEATS + 1) for side in (drawn <= 0, drawn >= 0)]
        p_value = min(1.0, 2 * min(sides))
    return Comparison(
        metric=metric,
        value=float(values.mean()),
        other=float(others.mean()),
        difference=float(differences.mean()),
        interval=_interval(drawn),
        test="mcnemar" if exact else "paired bootstrap",
        p_value=p_value,
        significant=p_value < SIGNIFICANT,
        **counts,
    )


def mcnemar(first: int, second: int) -> float:
    """The two-sided exact p-value that of so many differing samples so few are on one side."""
    total, least = first + second, min(first, second)
    if not total:
        return 1.0
    ways = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
            for k in range(least + 1)]  # fmt: skip
    return min(1.0, 2 * math.fsum(math.exp(way - total * math.log(2)) for way in ways))


def _compared(outcome: Outcome) -> tuple[str, np.ndarray]:
    """What is compared, and its value for each position."""
    truth, found = outcome.truth, predictions(outcome)
    if outcome.form.kind == NUMBERS:
        return "mean_absolute_error", np.abs(found - truth).mean(axis=1)
    if outcome.form.kind == MULTILABEL:
        return "hamming_loss", (found != truth).mean(axis=1)
    return "accuracy", (found == truth).astype(np.float64)


def _require_kept(outcome: Outcome, option: str) -> None:
    if not outcome.is_kept:
        raise DlrunError(
            f"{option}: the outputs have {outcome.bytes / 1e6:,.0f} MB, too many to keep",
            hint="fewer samples: data.limit=1000",
        )
    if not outcome.positions:
        raise DlrunError(f"{option}: no sample counts")


def _require_same(outcome: Outcome, other: Outcome) -> None:
    first, second = outcome.form, other.form
    if first.names != second.names or first.kind != second.kind:
        kinds = [f"{f.kind} of {', '.join(f.names[:5])}" for f in (first, second)]
        raise DlrunError(f"--against: the runs predict other things: {kinds[0]}; {kinds[1]}")
    truth, others = outcome.truth, other.truth
    if truth.shape != others.shape or not np.allclose(truth, others, rtol=1e-4, atol=1e-6):
        raise DlrunError(
            f"--against: the runs were evaluated on other samples, {len(truth):,} and"
            f" {len(others):,}",
            hint="the same for both: --data FILE, or data=OPTION",
        )


def _edges() -> Interval:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def _interval(values: Any) -> Interval:
    low, high = np.quantile(values, _edges()).tolist()
    return low, high

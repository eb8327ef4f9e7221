"""Whether the difference between two runs is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlrun.errors import DlrunError
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS
from dlrun.evaluation.outcome import Outcome
from dlrun.evaluation.resampling import Interval, draws, interval, predictions, require_kept

REPEATS = 2000  # drawn splits
SIGNIFICANT = 0.05


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
        require_kept(each, "--against")
    _require_same(outcome, other)
    metric, values = _compared_values(outcome)
    _, others = _compared_values(other)
    differences = values - others
    drawn = np.array([weights @ differences / weights.sum() for weights in draws(outcome, REPEATS)])
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
        interval=interval(drawn),
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


def _compared_values(outcome: Outcome) -> tuple[str, np.ndarray]:
    """What is compared, and its value for each position."""
    truth, found = outcome.truth, predictions(outcome)
    if outcome.form.kind == NUMBERS:
        return "mean_absolute_error", np.abs(found - truth).mean(axis=1)
    if outcome.form.kind == MULTILABEL:
        return "hamming_loss", (found != truth).mean(axis=1)
    return "accuracy", (found == truth).astype(np.float64)


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

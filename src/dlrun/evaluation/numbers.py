"""Figures of predicted numbers: errors in the units of the target."""

from __future__ import annotations

import numpy as np

from dlrun.evaluation.outcome import Outcome
from dlrun.evaluation.table import Table

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
MOST_VALUES = 100  # that have rows of their own


def per_target(outcome: Outcome) -> Table:
    """R2 and the errors of each number."""
    names = outcome.form.names
    rows = [(name, *map(float, row)) for name, row in zip(names, _figures(outcome), strict=True)]
    header = ("target", "r2", "mean_absolute_error", "root_mean_squared_error", "mean_error")
    return Table(header, rows)


def summary(outcome: Outcome) -> dict[str, float]:
    """Means over all numbers."""
    r2, absolute, root, mean = _figures(outcome).T
    return {
        "r2": float(r2.mean()),
        "mean_absolute_error": float(absolute.mean()),
        "root_mean_squared_error": float(np.sqrt(np.square(root).mean())),
        "mean_error": float(mean.mean()),
    }


def _figures(outcome: Outcome) -> np.ndarray:
    """R2, mean absolute, root mean squared and mean error, ``(values, 4)``."""
    total, absolute, squared = outcome.sums / max(outcome.positions, 1)
    variance = outcome.variance
    with np.errstate(divide="ignore", invalid="ignore"):
        # As scikit-learn: of a target that does not vary 0, or 1 without an error.
        r2 = np.where(variance > 0, 1 - squared / variance, np.where(squared > 0, 0.0, 1.0))
    return np.stack([r2, absolute, np.sqrt(squared), total], axis=1)


def residuals(outcome: Outcome) -> Table:
    """Quantiles of predicted less true, of each number."""
    errors = outcome.scores.astype(np.float64) - outcome.truth
    found = np.quantile(errors, QUANTILES, axis=0) if len(errors) else np.zeros((0, 0))
    rows = [
        (name, quantile, float(error))
        for name, column in zip(outcome.form.names, found.T, strict=False)
        for quantile, error in zip(QUANTILES, column, strict=True)
    ]
    return Table(("target", "quantile", "error"), rows)


def errors_by_size(outcome: Outcome) -> Table:
    """The errors in each tenth of the true values, of each number: where a model is weak."""
    rows: list[tuple[object, ...]] = []
    for name, truth, found in zip(
        outcome.form.names, outcome.truth.T, outcome.scores.T, strict=True
    ):
        order = np.argsort(truth, kind="stable")
        parts = np.array_split(order, min(10, max(len(order), 1)))
        for part in parts:
            if not len(part):
                continue
            errors = found[part].astype(np.float64) - truth[part]
            figures = (np.abs(errors).mean(), errors.mean())
            edges = (float(truth[part[0]]), float(truth[part[-1]]))
            rows.append((name, *edges, *map(float, figures), len(part)))
    header = ("target", "from", "to", "mean_absolute_error", "mean_error", "count")
    return Table(header, rows)

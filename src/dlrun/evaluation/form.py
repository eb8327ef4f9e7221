"""What one output of a model is: classes or numbers, and how to read its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlrun.data.targets import Target

CLASSES, BINARY, MULTILABEL, NUMBERS = (
    "classification",
    "binary_classification",
    "multilabel",
    "regression",
)


@dataclass(frozen=True)
class Form:
    """One output.

    Args:
        kind: One of :data:`dlrun.data.targets.KINDS`.
        names: The names of the classes, both of a binary output; of numbers, a name for each.
        activation: The task's activation, which turns outputs into probabilities or scores.
        target: What restores the units of standardized numbers; None if they have their own.
    """

    kind: str
    names: tuple[str, ...]
    activation: str | None = None
    target: Target | None = None

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """What the model says of each class: probabilities, if the activation makes them.

        Args:
            outputs: As the model returned them, ``(positions, values)`` float32.

        Returns:
            The same shape, float64.
        """
        values = outputs.astype(np.float64)
        if self.activation == "softmax":
            values = np.exp(values - values.max(axis=1, keepdims=True))
            return np.asarray(values / values.sum(axis=1, keepdims=True))
        if self.activation == "sigmoid":
            # Of large negative values, 1 / (1 + exp(-x)) would overflow.
            decay = np.exp(-np.abs(values))
            return np.asarray(np.where(values >= 0, 1.0, decay) / (1.0 + decay))
        return values

    def numbers(self, outputs: np.ndarray) -> np.ndarray:
        """Numbers in the units of the target, ``(positions, values)`` float64."""
        values = outputs.astype(np.float64)
        return values if self.target is None else self.target.restore(values)


def are_probabilities(scores: np.ndarray, kind: str) -> bool:
    """Whether scores are probabilities: from 0 to 1, and of one of several classes 1 in sum."""
    if not len(scores) or scores.min() < 0 or scores.max() > 1 or not np.isfinite(scores).all():
        return False
    return kind != CLASSES or bool(np.abs(scores.sum(axis=1) - 1).max() < 1e-3)

"""The weights of labels of two values, one for each class: a sample has any number of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlrun.errors import DlrunError

# Of the samples without a class, and of those with it.
OfLabel = tuple[float, float]


def balanced(labels: np.ndarray) -> dict[int, OfLabel]:
    """Weights by which the samples with a class count as much as those without it.

    As scikit-learn's for each class alone: ``samples / (2 * samples with it)``, or without it. 1
    for a class that all samples have, or none has.

    Args:
        labels: ``(samples, classes)`` of 0 and 1.
    """
    with_it = labels.sum(axis=0)
    counts = np.stack([len(labels) - with_it, with_it], axis=1)
    values = (counts > 0).sum(axis=1, keepdims=True)
    weights = np.where(counts > 0, len(labels) / (values * np.maximum(counts, 1)), 1.0)
    return {number: (absent, there) for number, (absent, there) in enumerate(weights.tolist())}


def require_both(
    key: str, split: str, labels: np.ndarray, train: np.ndarray, names: tuple[str, ...]
) -> None:
    """Check that the training split has whatever is to be balanced by it.

    Args:
        key: The config's key.
        split: The name of the split.
        labels: The split's, ``(samples, classes)`` of 0 and 1.
        train: Those of the training split.
        names: Of the classes; none if the data do not tell.

    Raises:
        DlrunError: If a class of the split occurs in no training sample, or in all of them.
    """
    for value, where in ((1, "no training sample"), (0, "every training sample")):
        alone = (labels == value).any(axis=0) & ~(train == value).any(axis=0)
        if alone.any():
            number = int(alone.argmax())
            raise DlrunError(
                f"{key}=balanced: class {names[number] if names else number} is in {where}, but"
                f" not so in {split}.labels, so there is nothing to balance by",
                hint=f"give a weight by class: '{key}={{CLASS: 5, OTHER: 1}}'",
            )


def of_samples(labels: np.ndarray, weights: Mapping[int, OfLabel]) -> np.ndarray:
    """The weight of each label of each sample, ``(samples, classes)`` float32.

    Args:
        labels: ``(samples, classes)`` of 0 and 1.
        weights: By class.
    """
    table = np.array([weights[number] for number in range(labels.shape[1])], np.float32)
    return np.where(labels, table[:, 1], table[:, 0])

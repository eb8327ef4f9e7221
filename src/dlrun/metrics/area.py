"""The area under a curve of thresholds, for scores of any scale."""

import math
from typing import Any

import keras

from dlrun.losses.labels import flat_samples

AVERAGES = ("micro", "macro", None)

# Scores are counted in bins, 512 for each doubling from 2**-44 to 2**20, of either sign. Finer bins
# make a step slower. Their array has three axes, as a running sum over one long axis is slow too.
SHAPE = (64, 32, 32)
BINS = math.prod(SHAPE)
FIRST, LAST = -44, 20
PER_OCTAVE = BINS // 2 // (LAST - FIRST)


class Area(keras.metrics.Metric):
    """The area under the ROC curve or the precision-recall curve.

    Keras' ``AUC`` counts at 200 thresholds of probabilities: scores that all lie between two of
    them are one score. Here the scores are logits, in bins 0.14 % of their size apart.

    Args:
        curve: ``ROC``, or ``PR`` for the average precision.
        average: ``micro``: of all classes together. ``macro``: the mean over the classes with both
            positive and negative samples. None: no average, one value for each class.
        activation: The task's activation, which decides how outputs compare between classes.
        name: The metric's name in the logs.

    Raises:
        ValueError: If there is no such curve or average.
    """

    def __init__(
        self,
        curve: str = "ROC",
        average: str | None = "micro",
        activation: str | None = None,
        name: str | None = None,
    ) -> None:
        if curve not in ("ROC", "PR"):
            raise ValueError(f"curve={curve!a}: expected ROC or PR")
        if average not in AVERAGES:
            raise ValueError(f"average={average!a}: expected micro, macro or null")
        super().__init__(name=name)
        self.curve = curve
        self.average = average
        self.activation = activation
        self.counts: Any = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels ``(batch_size,)``, outputs ``(batch_size, num_classes)``."""
        # A sigmoid keeps the order of logits, but rounds them.
        activation = None if self.activation in ("softmax", "sigmoid") else self.activation
        labels, scores, weights = flat_samples(y_true, y_pred, sample_weight, activation)
        classes = scores.shape[-1]
        if self.activation == "softmax" and classes > 1:
            scores = _log_odds(scores)
        bins = _bins(scores)
        curves = 1 if self.average == "micro" else classes
        if curves > 1:
            bins += keras.ops.arange(classes, dtype="int32") * BINS
        weights = weights[:, None]
        if self.counts is None:
            rows = 3 if self.curve == "PR" and sample_weight is not None else 2
            shape = (rows, curves, *SHAPE)
            self.counts = self.add_weight(shape=shape, initializer="zeros", name="counts")
        columns = [labels * weights, (1 - labels) * weights, labels * weights**2]
        self.counts.assign_add(
            keras.ops.stack(
                [
                    keras.ops.reshape(
                        keras.ops.segment_sum(
                            keras.ops.reshape(column, (-1,)),
                            keras.ops.reshape(bins, (-1,)),
                            num_segments=curves * BINS,
                        ),
                        (curves, *SHAPE),
                    )
                    for column in columns[: self.counts.shape[0]]
                ]
            )
        )

    def result(self) -> Any:
        """The area, or the areas ``(num_classes,)``; 0 for a class that always or never occurs."""
        positives, negatives = self.counts[0], self.counts[1]
        total, total_negatives = _sum(positives), _sum(negatives)
        lower = _running_sum(negatives) - negatives
        if self.curve == "ROC":
            # Pairs in one bin count half.
            pairs = _sum(positives * (lower + negatives / 2))
            areas = keras.ops.divide_no_nan(pairs, total * total_negatives)
        else:
            above = total[:, None, None, None] - _running_sum(positives)
            false = total_negatives[:, None, None, None] - lower - negatives / 2
            # The precision at the middle one of the bin's positive samples, each of their weight.
            weight: Any = 1
            if self.counts.shape[0] > 2:
                weight = keras.ops.divide_no_nan(self.counts[2], positives)
            true = above + (positives + weight) / 2
            precision = keras.ops.divide_no_nan(true, true + false)
            areas = keras.ops.divide_no_nan(_sum(positives * precision), total)
        if self.average is None:
            return areas
        both = keras.ops.cast(keras.ops.logical_and(total > 0, total_negatives > 0), "float32")
        return keras.ops.divide_no_nan(keras.ops.sum(areas * both), keras.ops.sum(both))


def _log_odds(logits: Any) -> Any:
    """The logarithm of ``p / (1 - p)`` for softmax probabilities, also where ``p`` rounds to 1."""
    logits -= keras.ops.max(logits, axis=-1, keepdims=True)
    odds = keras.ops.exp(logits)
    largest = keras.ops.one_hot(keras.ops.argmax(logits, axis=-1), logits.shape[-1])
    largest = keras.ops.cast(largest, logits.dtype)
    others = keras.ops.sum(odds * (1 - largest), axis=-1, keepdims=True)
    # Of the largest one, all of the sum but itself; of the others, the sum is at least 1.
    rest = others * largest + (1 + others - odds) * (1 - largest)
    return logits - keras.ops.log(keras.ops.maximum(rest, 1e-37))


def _bins(scores: Any) -> Any:
    """The bin of each score, from 0 to ``BINS - 1``, in the order of the scores."""
    size = keras.ops.clip(keras.ops.abs(scores), 2.0**FIRST, 2.0**LAST)
    level = keras.ops.floor((keras.ops.log2(size) - FIRST) * PER_OCTAVE)
    level = keras.ops.cast(keras.ops.clip(level, 0, BINS // 2 - 1), "int32")
    return keras.ops.where(scores > 0, BINS // 2 + level, BINS // 2 - 1 - level)


def _sum(counts: Any) -> Any:
    return keras.ops.sum(counts, axis=(1, 2, 3))


def _running_sum(counts: Any) -> Any:
    """The running sum over the last three axes together, ``(curves, *SHAPE)``."""
    fine = keras.ops.cumsum(counts, axis=3)
    middle = keras.ops.cumsum(fine[..., -1], axis=2)
    coarse = keras.ops.cumsum(middle[..., -1], axis=1)
    before_middle = middle - fine[..., -1]
    before_coarse = coarse - middle[..., -1]
    return fine + before_middle[..., None] + before_coarse[..., None, None]

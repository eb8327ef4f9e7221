"""The area under a curve of thresholds, for scores of any scale."""

import math
from typing import Any

import keras

from dlrun.losses.labels import flat_samples

AVERAGES = ("micro", "macro", None)

# Scores are counted in bins. ANCHORS scores of the first batch have GRID bins between each two of
# them, and TAIL bins lie on either side. More bins make a step slower. Their array has three axes,
# as a running sum over one long axis is slow too.
SHAPE = (64, 32, 32)
BINS = math.prod(SHAPE)
GRID, TAIL = 256, BINS // 4
ANCHORS = BINS // 2 // GRID + 1
PER_ANCHOR = 4  # scores that are sorted for each anchor
STRIDE = 7919  # a prime, so that these scores are of every class
LARGEST = 3.4028235e38
ORDERS = 255 * 2**22  # half the number of positive float32 values


class Area(keras.metrics.Metric):
    """The area under the ROC curve or the precision-recall curve.

    Keras' ``AUC`` counts at 200 thresholds of probabilities: scores that all lie between two of
    them are one score. Here the scores are logits, in 65,536 bins that :meth:`place` places, or
    else the first batch since the last reset: 256 between each two of 129 of its scores, and 64 for
    each doubling of the distance from all of them. Scores in one bin are tied.

    If that batch has some 32 scores or more, and the others are drawn as it was, the area is within
    1e-3 of the exact one, whatever the scores' scale and offset. Scores far from all of that batch
    are not told apart if they differ by less than 1 % of that distance: so two narrow groups far
    apart, in batches of one sample, were 1.5e-2 off. Subnormal numbers, below 1.2e-38, are 0 to jax
    and tensorflow.

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
        self.anchors: Any = None
        self.has_anchors: Any = None
        self._keep_anchors = False

    def place(self, y_true: Any, y_pred: Any) -> None:
        """Place the bins by these samples until :meth:`release`, whatever the batches."""
        self.release()
        self.reset_state()
        self.update_state(y_true, y_pred)
        self._keep_anchors = True
        self.reset_state()

    def release(self) -> None:
        """Let the first batch after the next reset place the bins."""
        self._keep_anchors = False

    def reset_state(self) -> None:
        """Forget all samples."""
        for variable in [self.counts] if self._keep_anchors else self.variables:
            variable.assign(keras.ops.zeros(variable.shape, variable.dtype))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels ``(batch_size,)``, outputs ``(batch_size, num_classes)``."""
        # A sigmoid keeps the order of logits, but rounds them.
        activation = None if self.activation in ("softmax", "sigmoid") else self.activation
        labels, scores, weights = flat_samples(y_true, y_pred, sample_weight, activation)
        classes = scores.shape[-1]
        if self.activation == "softmax" and classes > 1:
            scores = _log_odds(scores)
        curves = 1 if self.average == "micro" else classes
        weights = weights[:, None]
        if self.counts is None:
            shape = (2, curves, *SHAPE)
            self.counts = self.add_weight(shape=shape, initializer="zeros", name="counts")
            self.anchors = self.add_weight(
                shape=(curves, ANCHORS), initializer="zeros", name="anchors"
            )
            self.has_anchors = self.add_weight(shape=(), initializer="zeros", name="has_anchors")
        scores = keras.ops.clip(keras.ops.reshape(scores, (-1, curves)), -LARGEST, LARGEST)
        anchors = keras.ops.where(
            self.has_anchors > 0, keras.ops.convert_to_tensor(self.anchors), _anchors(scores)
        )
        self.anchors.assign(anchors)
        self.has_anchors.assign(keras.ops.ones(()))
        bins = _bins(scores, anchors) + keras.ops.arange(curves, dtype="int32") * BINS
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
                    for column in (labels * weights, (1 - labels) * weights)
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
            true = total[:, None, None, None] - _running_sum(positives) + positives
            false = total_negatives[:, None, None, None] - lower
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


def _anchors(scores: Any) -> Any:
    """Quantiles of a part of the scores ``(samples, curves)``: ``(curves, ANCHORS)``, ascending."""
    part = keras.ops.arange(PER_ANCHOR * (ANCHORS - 1) + 1, dtype="int32") * STRIDE
    part = keras.ops.take(scores, part % keras.ops.shape(scores)[0], axis=0)
    return keras.ops.transpose(keras.ops.sort(part, axis=0)[::PER_ANCHOR])


def _bins(scores: Any, anchors: Any) -> Any:
    """The bin of each score, from 0 to ``BINS - 1``, in the order of the scores."""
    curves = anchors.shape[0]
    first = keras.ops.arange(curves, dtype="int32") * ANCHORS
    flat = keras.ops.reshape(anchors, (-1,))

    def anchor(index: Any) -> Any:
        return keras.ops.take(flat, first + keras.ops.clip(index, 0, ANCHORS - 1), axis=0)

    below = keras.ops.zeros_like(scores, dtype="int32")  # the anchors up to the score
    for step in (2**power for power in reversed(range(ANCHORS.bit_length()))):
        further = below + step
        is_below = keras.ops.logical_and(further <= ANCHORS, anchor(further - 1) <= scores)
        below = keras.ops.where(is_below, further, below)
    low, high = anchor(below - 1), anchor(below)
    # Halves, as the difference of two scores may be infinite.
    distance, width = scores / 2 - low / 2, high / 2 - low / 2
    # In equal steps of the number and in equal steps of its bits, which are those of its logarithm.
    even = keras.ops.divide_no_nan(distance, width)
    octaves = keras.ops.divide_no_nan(_order(scores, low), _order(high, low))
    between = TAIL + (below - 1) * GRID + _floor((even + octaves) / 2, GRID)
    far = _floor(_order(keras.ops.abs(distance), 0 * distance) / ORDERS, TAIL)
    return keras.ops.where(
        below == 0, TAIL - 1 - far, keras.ops.where(below == ANCHORS, BINS - TAIL + far, between)
    )


def _order(scores: Any, others: Any) -> Any:
    """Half the number of float32 values between scores and smaller or equal others."""
    return keras.ops.cast(_half_order(scores) - _half_order(others), "float32")


def _half_order(scores: Any) -> Any:
    bits = keras.ops.view(scores, dtype="int32")
    return keras.ops.where(bits < 0, -(bits & 0x7FFFFFFF), bits) // 2


def _floor(share: Any, bins: int) -> Any:
    return keras.ops.clip(keras.ops.cast(share * bins, "int32"), 0, bins - 1)


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

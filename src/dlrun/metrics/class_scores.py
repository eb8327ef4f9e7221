"""Precision, recall, F1 and IoU: scores of each class, averaged over classes or not."""

from typing import Any

import keras

from dlrun.losses.labels import flat_samples

AVERAGES = ("auto", "macro", "micro", "weighted", None)


class ClassScore(keras.metrics.Metric):
    """A score of each class, from how often it is right, predicted and actual.

    It takes logits and integer labels. A model with a single output has the classes 0 and 1. Labels
    of the outputs' shape with a sigmoid have any number of classes at once.

    Args:
        average: ``macro``: the mean over the classes that occur. ``weighted``: weighted by how
            often each is actual. ``micro``: of all classes together. ``auto``: class 1 of a model
            with one output, else ``macro``. None: no average, one value for each class.
        threshold: Predict every class whose prediction is above it; None predicts the most
            probable class, of one output class 1 above 0.5, and of labels of several classes at
            once every class above 0.5.
        class_id: Only this class, instead of an average.
        activation: Turns outputs into predictions; None if the model returns predictions.
        name: The metric's name in the logs.

    Raises:
        ValueError: If there is no such average.
    """

    def __init__(
        self,
        average: str | None = "auto",
        threshold: float | None = None,
        class_id: int | None = None,
        activation: str | None = None,
        name: str | None = None,
    ) -> None:
        if average not in AVERAGES:
            raise ValueError(f"average={average!a}: expected auto, macro, micro, weighted or null")
        super().__init__(name=name)
        self.average = average
        self.threshold = threshold
        self.class_id = class_id
        self.activation = activation
        self.counts: Any = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels ``(batch_size,)``, outputs ``(batch_size, num_classes)``."""
        actual, values, weights = flat_samples(y_true, y_pred, sample_weight, self.activation)
        classes = values.shape[-1]
        threshold = self.threshold
        several = self.activation == "sigmoid" and _rest(y_true) == _rest(y_pred)
        if threshold is None and (classes == 1 or several):
            threshold = 0.5
        if classes == 1:
            predicted = keras.ops.cast(values > threshold, "float32")
            actual, predicted = (
                keras.ops.concatenate([1 - column, column], axis=1)
                for column in (actual, predicted)
            )
        elif threshold is None:
            predicted = keras.ops.one_hot(keras.ops.argmax(values, axis=-1), classes)
            predicted = keras.ops.cast(predicted, "float32")
        else:
            predicted = keras.ops.cast(values > threshold, "float32")
        if self.counts is None:
            self._build(classes)
        columns = keras.ops.stack([actual * predicted, predicted, actual])
        self.counts.assign_add(keras.ops.sum(columns * weights[:, None], axis=1))

    def result(self) -> Any:
        """The average, or the values ``(num_classes,)``; 0 for a class that does not occur."""
        right, predicted, actual = (self.counts[row] for row in range(3))
        scores = self.score(right, predicted, actual)
        if self.class_id is not None:
            return scores[self.class_id]
        if self.average is None:
            return scores
        if self.average == "micro":
            return self.score(*(keras.ops.sum(row) for row in (right, predicted, actual)))
        if self.average == "auto" and self._is_binary:
            return scores[1]
        occurs = keras.ops.cast(predicted + actual > 0, "float32")
        weights = actual if self.average == "weighted" else occurs
        return keras.ops.divide_no_nan(keras.ops.sum(weights * scores), keras.ops.sum(weights))

    def score(self, right: Any, predicted: Any, actual: Any) -> Any:
        """The score of each class, from the number of its samples."""
        raise NotImplementedError

    def _build(self, outputs: int) -> None:
        self._is_binary = outputs == 1
        classes = max(outputs, 2)
        if self.class_id is not None and not 0 <= self.class_id < classes:
            raise ValueError(f"class_id={self.class_id}: there are classes 0 to {classes - 1}")
        self.counts = self.add_weight(shape=(3, classes), initializer="zeros", name="counts")


class Precision(ClassScore):
    """The share of a class's predictions that are right."""

    def score(self, right: Any, predicted: Any, actual: Any) -> Any:
        """See :class:`ClassScore`."""
        return keras.ops.divide_no_nan(right, predicted)


class Recall(ClassScore):
    """The share of a class's samples that are predicted."""

    def score(self, right: Any, predicted: Any, actual: Any) -> Any:
        """See :class:`ClassScore`."""
        return keras.ops.divide_no_nan(right, actual)


class F1(ClassScore):
    """The harmonic mean of precision and recall."""

    def score(self, right: Any, predicted: Any, actual: Any) -> Any:
        """See :class:`ClassScore`."""
        return keras.ops.divide_no_nan(2 * right, predicted + actual)


class IoU(ClassScore):
    """Intersection over union: right predictions by all that are predicted or actual."""

    def score(self, right: Any, predicted: Any, actual: Any) -> Any:
        """See :class:`ClassScore`."""
        return keras.ops.divide_no_nan(right, predicted + actual - right)


def _rest(array: Any) -> tuple[int, ...]:
    return tuple(array.shape)[1:]

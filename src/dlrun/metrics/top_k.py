"""Whether the right class is among the most probable ones."""

from typing import Any

import keras

from dlrun.losses.labels import flat_samples


class TopK(keras.metrics.Mean):
    """The share of samples whose class is among the ``k`` largest outputs.

    Of equal outputs the first counts as larger, as in ``accuracy``, which is ``k=1``. Keras counts
    all of them, so that equal outputs are always right.

    Args:
        k: How many classes are predicted.
        name: The metric's name in the logs.
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name=name)
        self.k = k

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels ``(batch_size,)``, outputs ``(batch_size, num_classes)``."""
        labels, values, weights = flat_samples(y_true, y_pred, sample_weight, None)
        classes = keras.ops.arange(values.shape[-1])
        label = keras.ops.argmax(labels, axis=-1)[:, None]
        own = keras.ops.sum(keras.ops.where(labels > 0, values, 0.0), axis=-1, keepdims=True)
        earlier = keras.ops.logical_and(values == own, classes < keras.ops.cast(label, "int32"))
        before = keras.ops.logical_or(values > own, earlier)
        rank = keras.ops.sum(keras.ops.cast(before, "int32"), axis=-1)
        # Nothing is larger than nan: it would be right.
        is_number = keras.ops.all(values == values, axis=-1)  # noqa: PLR0124
        hits = keras.ops.logical_and(rank < self.k, is_number)
        super().update_state(keras.ops.cast(hits, "float32"), sample_weight=weights)

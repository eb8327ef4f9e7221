"""Any of Keras' losses, for integer labels and logits."""

from typing import Any

import keras

from dlrun.losses.labels import class_of, compared


class OneHotLoss(keras.losses.Loss):
    """Compares one-hot labels with the model's predictions by a loss of Keras'.

    Data sets keep their labels as integers and models return logits; losses such as the mean
    squared error take neither.

    Args:
        loss: A class of ``keras.losses``, by its name.
        activation: Makes predictions of the outputs; None for a loss that takes logits.
        **options: The loss' own, its reduction among them.
    """

    def __init__(self, loss: str, activation: str | None = None, **options: Any) -> None:
        self.loss = class_of(keras.losses, loss)(**options)
        self.activation = activation
        super().__init__(name=self.loss.name, reduction=self.loss.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample, ``(batch_size,)``."""
        return self.loss.call(*compared(y_true, y_pred, self.activation))

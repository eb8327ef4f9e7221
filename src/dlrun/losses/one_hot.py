"""Use any Keras loss with integer labels and logits."""

from typing import Any

import keras

from dlrun.losses.labels import get_class, match_outputs


class OneHotLoss(keras.losses.Loss):
    """Compares one-hot labels with the model's predictions, using a Keras loss.

    Data sets store labels as integers and models return logits; losses such as the mean squared
    error take neither.

    Args:
        loss: The name of a class of ``keras.losses``.
        activation: Turns outputs into predictions; None for a loss that takes logits.
        **options: Arguments of the loss, including its reduction.
    """

    def __init__(self, loss: str, activation: str | None = None, **options: Any) -> None:
        self.loss = get_class(keras.losses, loss)(**options)
        self.activation = activation
        super().__init__(name=self.loss.name, reduction=self.loss.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample, ``(batch_size,)``."""
        return self.loss.call(*match_outputs(y_true, y_pred, self.activation))

"""Learning-rate schedules for ``keras.callbacks.LearningRateScheduler``."""

from collections.abc import Callable


def exponential_decay(
    decay_rate: float = 0.9, warmup_epochs: int = 0
) -> Callable[[int, float], float]:
    """Multiply the learning rate by ``decay_rate`` each epoch after the first.

    Args:
        decay_rate: The factor.
        warmup_epochs: Epochs, after the first, that keep the learning rate as it was set.

    Returns:
        A function from the epoch, from 0, and its learning rate to the one to use.
    """

    def schedule(epoch: int, learning_rate: float) -> float:
        return learning_rate * decay_rate if epoch > warmup_epochs else learning_rate

    return schedule

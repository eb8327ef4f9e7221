"""Learning-rate schedules for ``keras.callbacks.LearningRateScheduler``."""

from collections.abc import Callable


def exponential_decay(
    decay_rate: float = 0.9, warmup_epochs: int = 0
) -> Callable[[int, float], float]:
    """Multiply the learning rate by ``decay_rate`` each epoch after the first.

    Args:
        decay_rate: The factor.
        warmup_epochs: Epochs, after the first, that keep the initial learning rate.

    Returns:
        A function of the epoch, from 0, and the current learning rate; returns the new one.
    """

    def schedule(epoch: int, learning_rate: float) -> float:
        return learning_rate * decay_rate if epoch > warmup_epochs else learning_rate

    return schedule

"""Generated sequences of token ids, of different lengths."""

import numpy as np

from dlrun.data.dataset import Dataset, Split, split_off
from dlrun.errors import DlrunError

PADDING = 0


def tokens(
    *,
    train_samples: int = 2000,
    validation_samples: int = 400,
    test_samples: int = 400,
    length: int = 32,
    vocabulary_size: int = 200,
    seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Sequences ``(length,)`` int32, padded with 0 at the end, and which of two tokens is in them.

    As in texts, few tokens are frequent and most are rare. The label is 1 if token 1 occurs more
    often than token 2, else 0.

    Args:
        train_samples: Sequences to train on.
        validation_samples: Sequences to validate on.
        test_samples: Sequences to test on.
        length: Tokens of the longest sequence; the shortest has a quarter of them.
        vocabulary_size: Ids are from 1 to ``vocabulary_size - 1``; at least 4.
        seed: Seeds the sequences.
        limit: Keep the first N samples of each split.

    Raises:
        DlrunError: If a size makes no sequences.
    """
    for name, value, least in (
        ("train_samples", train_samples, 1),
        ("length", length, 1),
        ("vocabulary_size", vocabulary_size, 4),
    ):
        if value < least:
            raise DlrunError(f"data.{name}={value}: must be at least {least}")
    generator = np.random.default_rng(seed)
    probabilities = 1 / np.arange(1, vocabulary_size)  # Zipf's law
    # The two that are compared are equally frequent.
    probabilities[:2] = probabilities[:2].mean()
    probabilities /= probabilities.sum()

    def draw(samples: int) -> Split:
        ids = generator.choice(vocabulary_size - 1, (samples, length), p=probabilities) + 1
        lengths = generator.integers(max(1, length // 4), length + 1, (samples, 1))
        ids[np.arange(length) >= lengths] = PADDING
        labels = (ids == 1).sum(axis=1) > (ids == 2).sum(axis=1)
        return Split(ids.astype(np.int32), labels.astype(np.uint8))

    train = draw(validation_samples + train_samples)
    return split_off(
        train.inputs,
        train.labels,
        draw(test_samples),
        validation_samples=validation_samples,
        limit=limit,
        num_classes=2,
    )

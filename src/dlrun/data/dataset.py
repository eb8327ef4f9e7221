"""What a data set is, and the batches that are drawn from it."""

from dataclasses import dataclass

import numpy as np

from dlrun.errors import DlrunError


@dataclass(frozen=True)
class Split:
    """Samples of one split, as they are kept in memory.

    Args:
        inputs: Shape ``(samples, *input_shape)``, in the smallest dtype that holds them.
        labels: Shape ``(samples,)``, integers.
    """

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set's splits, and what a model needs to know of them.

    Args:
        train: Never empty.
        validation: Empty when the run has no validation.
        test: Never empty.
        num_classes: How many classes the labels name, from 0.
        scale: What integer inputs are divided by in a batch, as 255 for pixels. A number and not
            a function, so that a backend may do it in its own terms.
    """

    train: Split
    validation: Split
    test: Split
    num_classes: int
    scale: float = 1.0

    def prepare(self, inputs: np.ndarray) -> np.ndarray:
        """A batch of inputs as the model takes them, float32: floats are taken as scaled."""
        prepared = inputs.astype(np.float32, copy=False)
        if self.scale != 1 and np.issubdtype(inputs.dtype, np.integer):
            prepared /= np.float32(self.scale)
        return prepared

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One sample's shape."""
        return self.train.inputs.shape[1:]

    def split(self, name: str) -> Split:
        """The split ``train``, ``validation`` or ``test``.

        Raises:
            DlrunError: If it has no samples.
        """
        split: Split = getattr(self, name)
        if not len(split):
            raise DlrunError(f"the {name} split is empty", hint=f"raise data.{name}_samples")
        return split


def split_off(
    inputs: np.ndarray,
    labels: np.ndarray,
    test: Split,
    *,
    validation_samples: int,
    limit: int | None,
    num_classes: int,
    scale: float = 1.0,
) -> Dataset:
    """Make a data set: the first ``validation_samples`` validate, the rest train.

    Args:
        inputs: Shape ``(samples, *input_shape)``.
        labels: Shape ``(samples,)``.
        test: The test split.
        validation_samples: How many to keep from training.
        limit: Keep the first so many samples of each split; None keeps all.
        num_classes: As in :class:`Dataset`.
        scale: As in :class:`Dataset`.

    Raises:
        DlrunError: If no sample would be left to train on.
    """
    if validation_samples >= len(labels):
        raise DlrunError(
            f"data.validation_samples={validation_samples} leaves nothing to train on:"
            f" there are {len(labels):,} samples",
            hint=f"at most {len(labels) - 1}",
        )
    first, kept = validation_samples, slice(None, limit)
    return Dataset(
        train=Split(inputs[first:][kept], labels[first:][kept]),
        validation=Split(inputs[:first][kept], labels[:first][kept]),
        test=Split(test.inputs[kept], test.labels[kept]),
        num_classes=num_classes,
        scale=scale,
    )

"""What a data set is, and the batches that are drawn from it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.tree import Arrays, Tree, leaves, tree_map
from dlrun.errors import DlrunError


@dataclass(frozen=True)
class Split:
    """Samples of one split, as they are kept in memory.

    Args:
        inputs: Shape ``(samples, *input_shape)``, in the smallest dtype that holds them; a mapping
            of such arrays where a model has several inputs.
        labels: Integers ``(samples,)`` for classes, floats ``(samples, 1)`` for a number; a
            mapping where a model has several outputs.

    Raises:
        DlrunError: If one is no array, or not all have as many samples.
    """

    inputs: Arrays
    labels: Arrays

    def __post_init__(self) -> None:
        for array in self._arrays():
            if not getattr(array, "shape", ()):
                kind = "a scalar" if hasattr(array, "shape") else type(array).__name__
                raise DlrunError(
                    f"inputs and labels are arrays, one sample after the other: got {kind}",
                    hint="make it an array with numpy.asarray()",
                )
        if len({len(array) for array in self._arrays()}) > 1:
            raise DlrunError(
                "inputs and labels differ in their number of samples: shapes "
                + ", ".join(str(array.shape) for array in self._arrays())
            )

    def __len__(self) -> int:
        return len(self._arrays()[-1])

    def __getitem__(self, chosen: slice) -> "Split":
        return Split(*(tree_map(lambda a: a[chosen], part) for part in (self.inputs, self.labels)))

    def _arrays(self) -> list[np.ndarray]:
        return [*leaves(self.inputs), *leaves(self.labels)]


@dataclass(frozen=True)
class Dataset:
    """A data set's splits, and what a model needs to know of them.

    Args:
        train: Never empty.
        validation: Empty when the run has no validation.
        test: Never empty.
        num_classes: How many classes the labels name, from 0, and 1 for a label that is a number;
            by name where the labels are.
        scale: What integer inputs are divided by in a batch, as 255 for pixels. A number and not
            a function, so that a backend may do it in its own terms.
    """

    train: Split
    validation: Split
    test: Split
    num_classes: Tree[int]
    scale: float = 1.0

    @cached_property
    def spec(self) -> InputSpec:
        """What a model needs to know of the data set, as it is saved with a run."""
        return InputSpec(
            inputs=tree_map(ArraySpec.of, self.train.inputs),
            labels=tree_map(ArraySpec.of, self.train.labels),
            num_classes=tree_map(int, self.num_classes),
            scale=float(self.scale),
        )

    def prepare(self, inputs: Arrays) -> Arrays:
        """A batch of inputs as the model takes them, see :meth:`InputSpec.prepare`."""
        return self.spec.prepare(inputs)

    @property
    def input_shape(self) -> Tree[tuple[int, ...]]:
        """One sample's shape, by name where the inputs are."""
        return self.spec.input_shape

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
    inputs: Arrays,
    labels: Arrays,
    test: Split,
    *,
    validation_samples: int,
    limit: int | None,
    num_classes: Tree[int],
    scale: float = 1.0,
) -> Dataset:
    """Make a data set: the first ``validation_samples`` validate, the rest train.

    Args:
        inputs: As in :class:`Split`.
        labels: As in :class:`Split`.
        test: The test split.
        validation_samples: How many to keep from training.
        limit: Keep the first so many samples of each split; None keeps all.
        num_classes: As in :class:`Dataset`.
        scale: As in :class:`Dataset`.

    Raises:
        DlrunError: If no sample would be left to train on.
    """
    samples = Split(inputs, labels)
    if validation_samples >= len(samples):
        raise DlrunError(
            f"data.validation_samples={validation_samples} leaves nothing to train on:"
            f" there are {len(samples):,} samples",
            hint=f"at most {len(samples) - 1}",
        )
    return Dataset(
        train=samples[validation_samples:][:limit],
        validation=samples[:validation_samples][:limit],
        test=test[:limit],
        num_classes=num_classes,
        scale=scale,
    )

"""The contract of a data set: its splits and what a model needs to know about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.length import Length
from dlrun.data.preprocessing import Fit, Step
from dlrun.data.sample_ids import SampleIds
from dlrun.data.sampling import ClassSampling
from dlrun.data.targets import Target
from dlrun.data.tree import Arrays, Tree, leaves, tree_map
from dlrun.errors import DlrunError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """The samples of one split, as stored in memory.

    Args:
        inputs: Shape ``(samples, *input_shape)``, in the smallest dtype that holds the values; a
            mapping of such arrays for several inputs.
        labels: Integers ``(samples,)`` for classes, floats ``(samples, 1)`` for numbers; a mapping
            for several outputs.
        weights: How much each sample counts in the loss, ``(samples,)``, from 0; ``(samples,
            steps)`` for labels with steps. A mapping by output if the labels are one; an output
            without an entry, as a split without weights, counts each sample once.
        ids: Names the samples; None if nothing but their numbers does.

    Raises:
        DlrunError: If one is not an array, or their numbers of samples differ.
    """

    inputs: Arrays
    labels: Arrays
    weights: Arrays | None = None
    ids: SampleIds | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        names = "inputs and labels" if self.weights is None else "inputs, labels and weights"
        for array in self.arrays():
            if not getattr(array, "shape", ()):
                actual = "a scalar" if hasattr(array, "shape") else type(array).__name__
                raise DlrunError(
                    f"{names}: expected arrays of samples, got {actual}",
                    hint="make it an array with numpy.asarray()",
                )
        if len({len(array) for array in self.arrays()}) > 1:
            raise DlrunError(
                f"{names} differ in their number of samples: shapes "
                + ", ".join(str(array.shape) for array in self.arrays()),
                hint="give each sample one row of each array",
            )

    def __len__(self) -> int:
        return len(self.arrays()[-1])

    def __getitem__(self, samples: slice) -> Split:
        ids = self.ids and self.ids[samples]
        return replace(self.map(lambda array: array[samples]), ids=ids)

    def map(self, function: Callable[[np.ndarray], Any]) -> Split:
        """The split with a function applied to each of its arrays, or what behaves like one."""
        weights = None if self.weights is None else tree_map(function, self.weights)
        inputs, labels = tree_map(function, self.inputs), tree_map(function, self.labels)
        return Split(inputs, labels, weights, self.ids)

    def arrays(self) -> list[np.ndarray]:
        """Inputs, labels and weights, if there are any, one array after the other."""
        weights = [] if self.weights is None else leaves(self.weights)
        return [*leaves(self.inputs), *leaves(self.labels), *weights]


@dataclass(frozen=True)
class Dataset:
    """A data set's splits, and what a model needs to know about them.

    Args:
        train: The training split; never empty.
        validation: The validation split; empty for a run without validation.
        test: The test split; never empty.
        num_classes: The number of classes, labelled from 0, or 1 for a numeric label; a mapping if
            the labels are one.
        scale: Divisor of integer inputs in a batch, such as 255 for pixels. A number rather than a
            function, so that a backend can apply it in its own terms.
        fit: The preprocessing steps to fit, in order, each as its class's ``fit``.
        preprocessing: The fitted steps that the inputs have been through, see :meth:`preprocess`.
        sizes: As in :class:`dlrun.data.input_spec.InputSpec`, as is ``targets``.
        targets: What the labels were made of; None if the labels are all that is known.
        is_checked: Whether every input is known to be a finite float32, so that arrays larger than
            memory are not read once more.
        integers: The inputs that a model takes as integers, see :meth:`match`.
        sampling: Draws the samples of a pass over the training split; None for each sample once.
        length: How long a run on the data is, and its epochs; None for epochs of one pass.
    """

    train: Split
    validation: Split
    test: Split
    num_classes: Tree[int]
    scale: float = 1.0
    fit: tuple[Fit, ...] = ()
    preprocessing: tuple[Step, ...] = ()
    sizes: Mapping[str | None, tuple[int, ...]] = field(default_factory=dict)
    targets: Tree[Target] | None = None
    is_checked: bool = False
    integers: frozenset[str | None] = frozenset()
    sampling: ClassSampling | None = None
    length: Length | None = None

    @property
    def samples_per_pass(self) -> int:
        """The number of samples of a pass over the training split."""
        return self.sampling.samples if self.sampling else len(self.train)

    def samples_of(self, epoch: int) -> int:
        """The number of samples that an epoch, counted from 0, trains on."""
        return self.length.samples_of(epoch) if self.length else self.samples_per_pass

    @cached_property
    def spec(self) -> InputSpec:
        """What a model needs to know about the data set, as saved with a run."""
        return InputSpec(
            inputs=tree_map(ArraySpec.of, self.train.inputs),
            labels=tree_map(ArraySpec.of, self.train.labels),
            num_classes=tree_map(int, self.num_classes),
            scale=float(self.scale),
            preprocessing=self.preprocessing,
            sizes=self.sizes,
            targets=self.targets,
            integers=self.integers,
        )

    def match(self, model: Any) -> Dataset:
        """The data set for a model, see :meth:`InputSpec.match`."""
        return replace(self, integers=self.spec.match(model).integers)

    def preprocess(self, saved: Sequence[Step] | None = None) -> Dataset:
        """Fit the steps of :attr:`fit` on the training split, and apply them to every split.

        Args:
            saved: The steps of a run, to apply as they are; None to fit. Fitted again to other
                data, they would hide how these differ from the run's.

        Raises:
            DlrunError: If a step can't be fitted or applied, or the run has other steps.
        """
        if saved is not None and len(saved) != len(self.fit):
            raise DlrunError(
                f"data: the run's inputs went through {len(saved)} preprocessing steps, and these"
                f" through {len(self.fit)}",
                hint="use the options of the training run, such as data.standardize",
            )
        data = self
        for number, fit in enumerate(self.fit):
            name = getattr(fit, "__qualname__", "a step").partition(".")[0]
            try:
                step = fit(data.train.inputs) if saved is None else saved[number]
                train, validation, test = (
                    replace(split, inputs=step.apply(split.inputs))
                    for split in (data.train, data.validation, data.test)
                )
            except ValueError as error:
                raise DlrunError(f"data: {name}: {error}") from error
            steps = (*data.preprocessing, step)
            data = replace(data, train=train, validation=validation, test=test, preprocessing=steps)
        return replace(data, fit=()) if self.fit else data

    def prepare(self, inputs: Arrays) -> Arrays:
        """A batch of inputs ready for the model, see :meth:`InputSpec.prepare`."""
        return self.spec.prepare(inputs)

    @property
    def input_shape(self) -> Tree[tuple[int, ...]]:
        """The shape of one sample's inputs; a mapping if the inputs are one."""
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
    fit: tuple[Fit, ...] = (),
    weights: Arrays | None = None,
) -> Dataset:
    """Make a data set: the first ``validation_samples`` are for validation, the rest for training.

    Args:
        inputs: As in :class:`Split`.
        labels: As in :class:`Split`.
        test: The test split.
        validation_samples: How many samples to use for validation.
        limit: Keep the first N samples of each split; None keeps all.
        num_classes: As in :class:`Dataset`.
        scale: As in :class:`Dataset`.
        fit: As in :class:`Dataset`.
        weights: As in :class:`Split`.

    Raises:
        DlrunError: If no sample is left to train on.
    """
    samples = Split(inputs, labels, weights)
    if validation_samples >= len(samples):
        raise DlrunError(
            f"data.validation_samples={validation_samples} leaves nothing to train on:"
            f" there are {len(samples):,} samples",
            hint=f"set data.validation_samples to at most {len(samples) - 1}"
            if len(samples)
            else "provide samples to train on",
        )
    return Dataset(
        train=samples[validation_samples:][:limit],
        validation=samples[:validation_samples][:limit],
        test=test[:limit],
        num_classes=num_classes,
        scale=scale,
        fit=fit,
    )

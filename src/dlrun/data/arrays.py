"""Arrays of inputs and labels without a split: the split and the task are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.dataset import Dataset, Split
from dlrun.data.description.arrays import describe_array
from dlrun.data.description.class_coverage import unlearned_classes
from dlrun.data.description.pictures import Pictures, pictures_of_arrays
from dlrun.data.description.table import describe_columns
from dlrun.data.npz import require_finite
from dlrun.data.preprocessing.standardize import Standardize
from dlrun.data.samples import LABELS, SPLIT, Samples, one_hot_classes
from dlrun.data.source import Description
from dlrun.data.splits import LEFT_OUT, SPLITS
from dlrun.data.tabular.arrow_table import ArrowTable, arrow_table
from dlrun.data.tabular.targets import class_counts
from dlrun.data.targets import Target, TargetFitter
from dlrun.data.tree import leaves, leaves_by_name, tree_map
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.input_spec import InputSpec

log = logging.getLogger("dlrun")

OPTIONS = (
    "kind", "split", "validation", "test", "folds", "fold", "seed", "limit", "cache_gb"
)  # fmt: skip


def array_source(
    name: str,
    load: Callable[[], Samples],
    *,
    scale: float = 1.0,
    standardize: bool = False,
    arguments: Mapping[str, Any] | None = None,
    **options: Any,
) -> ArraySource:
    """A source whose arrays are read by a function when they are needed.

    Args:
        name: What the arrays are, for messages.
        load: Reads them.
        scale: Divisor of integer inputs, such as 255 for pixels.
        standardize: Give each input value mean 0 and standard deviation 1.
        arguments: What names the arrays in a config.
        **options: Those of :func:`dlrun.data.table.table` for the target and the split.
    """
    return ArraySource(name, load, float(scale), standardize, dict(arguments or {}), options)


def options_of_arrays(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options of a table, those that arrays have too."""
    return {key: value for key, value in options.items() if key in OPTIONS}


@dataclass(frozen=True)
class ArraySource:
    """Arrays as a :class:`dlrun.data.source.Source`; see :func:`array_source`.

    The labels are a table of their own, which finds the task and the split.
    """

    name: str
    load: Callable[[], Samples]
    scale: float
    standardize: bool
    arguments: Mapping[str, Any]
    options: Mapping[str, Any]

    @cached_property
    def _samples(self) -> Samples:
        samples = self._loaded
        if (classes := self._one_hot) is None:
            return samples
        labels = np.asarray(samples.names)[classes] if samples.names else classes
        return samples._replace(labels=labels, names=())

    @cached_property
    def _one_hot(self) -> np.ndarray | None:
        """The class of each sample if the labels are one-hot, and are to be classes.

        Unless told, integers and truth values are several classes at once.
        """
        kind, labels = self.options.get("kind"), self._loaded.labels
        of_one = "classification" in kind if kind else labels.dtype.kind == "f"
        return one_hot_classes(labels) if of_one else None

    @cached_property
    def _loaded(self) -> Samples:
        samples = self.load()
        arrays = [*leaves(samples.inputs), samples.labels]
        arrays += [] if samples.weights is None else [samples.weights]
        for array in arrays:
            if not np.ndim(array):
                raise DlrunError(
                    f"data: {self.name}: an array is a single number",
                    hint="give each sample one row of each array",
                )
        for name, array in leaves_by_name(samples.inputs).items():
            if array.dtype.kind not in "biuf":
                raise DlrunError(
                    f"data: {self.name}: {name or 'x'} has dtype {array.dtype}: expected integers"
                    " or floats",
                    hint="array.astype('float32')",
                )
        if len({len(array) for array in arrays}) > 1:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise DlrunError(
                f"data: {self.name}: the arrays differ in their number of samples: {shapes}",
                hint="give each sample one row of each array",
            )
        return samples

    @cached_property
    def _labels(self) -> pa.RecordBatch:
        return self._samples.label_batch(f"data: {self.name}")

    @cached_property
    def _table(self) -> ArrowTable:
        import pyarrow as pa

        labels = pa.Table.from_batches([self._labels])
        names = [name for name in labels.schema.names if name != SPLIT]
        target: Any = names[0] if len(names) == 1 else names
        options = dict(self.options)
        if len(names) > 1 and "classification" in str(options.get("kind")):
            raise DlrunError(
                f"data: {self.name}: the labels are {len(names)} columns, expected one of classes,"
                " or one-hot labels",
                hint="data.kind=multilabel or regression, or leave data.kind out",
            )
        if len(names) > 1 and options.get("kind") is None:
            is_truth = self._samples.labels.dtype.kind in "biu"
            if is_truth and not np.isin(self._samples.labels, (0, 1)).all():
                raise DlrunError(
                    f"data: {self.name}: the labels are {len(names)} columns of integers, expected"
                    " 0 and 1 for each of several classes at once",
                    hint="data.kind=regression for numbers, or one column of class numbers",
                )
            options["kind"] = "multilabel" if is_truth else "regression"
        return arrow_table(self.name, lambda: labels, target=target, **options)

    def tasks(self) -> Mapping[str | None, str]:
        """See :class:`dlrun.data.source.Source`."""
        return self._table.tasks()

    def describe(self) -> Description:
        """See :class:`dlrun.data.source.Source`."""
        of_labels, samples = self._table, self._samples
        counts = np.bincount(of_labels.splits, minlength=4)
        target = of_labels.labels[None]
        name = target.columns[0] if len(target.columns) == 1 else LABELS
        way = of_labels.way
        return Description(
            source=self.name,
            samples=int(counts[:LEFT_OUT].sum()),
            splits={split: int(counts[code]) for split, code in SPLITS.items()},
            columns=[
                *(
                    describe_array(key or "x", "input", array)
                    for key, array in leaves_by_name(samples.inputs).items()
                ),
                *describe_columns(of_labels, dict.fromkeys(target.columns, "target")),
            ],
            tasks={name: target.kind},
            classes={name: class_counts(of_labels, target)} if target.classes else {},
            notes=[*self._notes(), *self._class_notes(target), *self._refusals()],
            explicit={**self.arguments, "kind": target.kind, "split": way.way},
        )

    def pictures(self) -> Pictures:
        """See :class:`dlrun.data.description.pictures.HasPictures`; none without images."""
        samples, target = self._samples, self._table.labels[None]
        names = samples.labels.astype(str) if target.classes else None
        return pictures_of_arrays(samples.inputs, names)

    def _require_finite(self) -> None:
        rows = np.flatnonzero(self._table.splits != LEFT_OUT)
        for name, array in leaves_by_name(self._samples.inputs).items():
            require_finite(f"{self.name}: {name or 'x'}", array, rows)

    def _class_notes(self, target: Target) -> list[str]:
        """The classes that no training sample has; the labels of a target of numbers have none."""
        if not target.classes:
            return []
        labels = {name: target.encode(self._labels_of(name)) for name in SPLITS}
        return unlearned_classes(labels, target.num_classes, target)

    def _refusals(self) -> list[str]:
        """What training refuses, as a line for the description."""
        try:
            self._require_finite()
        except DlrunError as error:
            return [f"training refuses it: {error.message}"]
        return []

    def _notes(self) -> list[str]:
        notes = []
        if self._one_hot is not None:
            width = self._loaded.labels.shape[1]
            notes.append(
                f"the labels are one-hot, and taken as {width} classes; data.kind=regression takes"
                " them as numbers"
            )
        if missing := int((self._table.splits == LEFT_OUT).sum()):
            which, are = ("samples have", "are") if missing > 1 else ("sample has", "is")
            notes.append(f"{missing:,} {which} no label, and {are} left out")
        return notes

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        for note in self._notes():
            log.info("data   %s", note)
        self._require_finite()
        inputs, weights = self._samples.inputs, self._samples.weights
        target = _saved_target(self.name, saved) or self._fit()

        def split(name: str) -> Split:
            rows = self._rows(name)
            return Split(
                tree_map(lambda array: array[rows], inputs),
                target.encode(self._labels_of(name)),
                None if weights is None else weights[rows],
            )

        data = Dataset(
            train=split("train"),
            validation=split("validation"),
            test=split("test"),
            num_classes=target.num_classes,
            scale=self.scale,
            fit=(Standardize.fit,) if self.standardize else (),
            targets=target,
            sizes=self._samples.sizes,
        )
        return data.preprocess(saved.preprocessing if saved else None)

    def _fit(self) -> Target:
        fitter = TargetFitter(self._table.labels[None])
        fitter.update(self._labels_of("train"))
        return fitter.result()

    def _rows(self, split: str) -> np.ndarray:
        return np.flatnonzero(self._table.splits == SPLITS[split])

    def _labels_of(self, split: str) -> dict[str, Any]:
        """The labels of a split, by column."""
        import pyarrow as pa

        rows = self._labels.take(pa.array(self._rows(split)))
        return dict(zip(rows.schema.names, rows.columns, strict=True))


def _saved_target(name: str, saved: InputSpec | None) -> Target | None:
    if saved is None or saved.targets is None:
        return None
    if isinstance(saved.targets, Mapping):
        raise DlrunError(
            f"data: {name} has one target, and the run was trained on {len(saved.targets)}"
        )
    return saved.targets

"""Arrays of inputs and labels without a split: the split and the task are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dlrun.data.dataset import Dataset, Split
from dlrun.data.description.arrays import describe_array
from dlrun.data.description.class_coverage import unlearned_classes
from dlrun.data.description.pictures import Pictures, pictures_of_arrays
from dlrun.data.description.table import describe_columns
from dlrun.data.npz import require_finite
from dlrun.data.preprocessing.standardize import Standardize
from dlrun.data.source import Description
from dlrun.data.splits import LEFT_OUT, SPLITS, TRAIN
from dlrun.data.tabular.arrow_table import ArrowTable, arrow_table
from dlrun.data.tabular.targets import class_counts
from dlrun.data.targets import Target, TargetFitter
from dlrun.data.tree import Arrays, leaves, leaves_by_name, tree_map
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.input_spec import InputSpec

log = logging.getLogger("dlrun")

LABELS, SPLIT = "y", "split"


class Samples(NamedTuple):
    """What a source of arrays reads.

    Args:
        inputs: ``(samples, ...)`` of numbers, or a mapping of several.
        labels: ``(samples,)`` or ``(samples, values)``: class names or numbers, truth values, or
            numbers.
        names: The names of the labels' columns; by default ``y``, or ``y0``, ``y1``, ...
        splits: How many samples each split has, in order, by a name of
            :data:`dlrun.data.splits.NAMES`; empty if they are to be split. Without samples to
            validate on, these are drawn from those to train on.
        sizes: As in :class:`dlrun.data.input_spec.InputSpec`.
        weights: How much each sample counts in the loss, ``(samples,)``; None for once each.
    """

    inputs: Arrays
    labels: np.ndarray
    names: Sequence[str] = ()
    splits: Mapping[str, int] = {}
    sizes: Mapping[str | None, tuple[int, ...]] = {}
    weights: np.ndarray | None = None

    @classmethod
    def of_splits(
        cls, parts: Mapping[str, tuple[Arrays, Any]], names: Sequence[str] = ()
    ) -> Samples:
        """The samples of several splits, one after another.

        Args:
            parts: The inputs and labels of each, by its name.
            names: As in :class:`Samples`.

        Raises:
            ValueError: If their shapes differ.
        """
        labels = [np.asarray(labels) for _, labels in parts.values()]
        first = next(iter(parts.values()))[0]

        def join(name: str | None) -> np.ndarray:
            return np.concatenate(
                [x[name] if isinstance(x, Mapping) else x for x, _ in parts.values()]  # type: ignore[index]
            )

        inputs = {name: join(name) for name in first} if isinstance(first, Mapping) else join(None)
        sizes = dict(zip(parts, map(len, labels), strict=True))
        return cls(inputs, np.concatenate(labels), names, sizes)


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
    def _table(self) -> ArrowTable:
        labels = _label_table(self.name, self._samples)
        names = [name for name in labels.schema.names if name != SPLIT]
        target: Any = names[0] if len(names) == 1 else names
        options = dict(self.options)
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
        splits = self._table.splits
        rows = _label_table(self.name, self._samples).combine_chunks().to_batches()[0]
        labels = {
            name: target.encode(_of(rows.take(_array(np.flatnonzero(splits == code)))))
            for name, code in SPLITS.items()
        }
        return unlearned_classes(labels, target.num_classes, target)

    def _refusals(self) -> list[str]:
        """What training refuses, as a line for the description."""
        try:
            self._require_finite()
        except DlrunError as error:
            return [f"training refuses it: {error.message}"]
        return []

    def _notes(self) -> list[str]:
        missing = int((self._table.splits == LEFT_OUT).sum())
        which, are = ("samples have", "are") if missing > 1 else ("sample has", "is")
        return [f"{missing:,} {which} no label, and {are} left out"] if missing else []

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        for note in self._notes():
            log.info("data   %s", note)
        self._require_finite()
        inputs, weights = self._samples.inputs, self._samples.weights
        splits = self._table.splits
        labels = _label_table(self.name, self._samples).combine_chunks().to_batches()[0]
        target = _saved_target(self.name, saved) or self._fit(labels)

        def split(name: str) -> Split:
            rows = np.flatnonzero(splits == SPLITS[name])
            chosen = labels.take(_array(rows))
            return Split(
                tree_map(lambda array: array[rows], inputs),
                target.encode(_of(chosen)),
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

    def _fit(self, labels: pa.RecordBatch) -> Target:
        fitter = TargetFitter(self._table.labels[None])
        fitter.update(_of(labels.take(_array(np.flatnonzero(self._table.splits == TRAIN)))))
        return fitter.result()


def _saved_target(name: str, saved: InputSpec | None) -> Target | None:
    if saved is None or saved.targets is None:
        return None
    if isinstance(saved.targets, Mapping):
        raise DlrunError(
            f"data: {name} has one target, and the run was trained on {len(saved.targets)}"
        )
    return saved.targets


def _label_table(name: str, samples: Samples) -> pa.Table:
    """The labels as columns."""
    import pyarrow as pa

    columns = label_columns(f"data: {name}", samples.labels)
    width = len(columns)
    default = [LABELS] if width == 1 else [f"{LABELS}{number}" for number in range(width)]
    found = dict(zip(samples.names or default, columns, strict=True))
    if samples.splits:
        found[SPLIT] = pa.array(
            [split for split, size in samples.splits.items() for _ in range(size)]
        )
    return pa.table(found)


def _of(batch: pa.RecordBatch) -> dict[str, Any]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _array(rows: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(rows)


def label_columns(source: str, labels: np.ndarray) -> list[pa.Array]:
    """Labels as columns, one for each value of a sample.

    Args:
        source: What they are called in messages.
        labels: As in :class:`Samples`.

    Raises:
        DlrunError: If they are of another form, or of mixed types.
    """
    import pyarrow as pa

    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "biufUO" or not labels.size:
        raise DlrunError(
            f"{source}: the labels are {labels.dtype.name} of shape {labels.shape}, expected"
            " class names or numbers, one or several for each sample"
        )
    if labels.ndim == 1:
        labels = labels[:, None]
    try:
        return [pa.array(column.tolist()) for column in labels.T]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DlrunError(f"{source}: the labels are of mixed types: {error}") from error

"""A function of the user's own: what it returns is split, and the task is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.arrays import array_source, options_of_arrays
from dlrun.data.dataset import Dataset, Split
from dlrun.data.description.arrays import describe_dataset
from dlrun.data.samples import Samples
from dlrun.data.source import Description, Source
from dlrun.data.tabular.arrow_table import arrow_table
from dlrun.data.tree import map_named
from dlrun.errors import DlrunError, describe, first_line
from dlrun.system.own_modules import own_frames

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.input_spec import InputSpec

SPLITS = ("train", "test"), ("train", "validation", "test")
EXPECTED = (
    "a table of pandas, polars or pyarrow, arrays (x, y), several splits of such, or a Dataset"
)
# The last result, so that the function is called once to find the task and to train.
_last: dict[str, Any] = {}


def function(
    *,
    function: str,
    call: Callable[..., Any],
    arguments: Mapping[str, Any] | None = None,
    target: str | Sequence[str] | None = None,
    scale: float = 1.0,
    standardize: bool = False,
    **options: Any,
) -> FunctionSource:
    """What a function returns, as a source.

    Args:
        function: Its name, ``module.name``.
        call: The function of that name.
        arguments: What it is called with.
        target: The column of a table to predict, or several.
        scale: Divisor of integer arrays, such as 255 for pixels.
        standardize: Give each value of an array mean 0 and standard deviation 1.
        **options: Others of :func:`dlrun.data.table.table`.
    """
    given = {"target": target, "scale": scale, "standardize": standardize, **options}
    return FunctionSource(function, call, dict(arguments or {}), given)


def forget() -> None:
    """Free the last result, in a process that will not train on it."""
    _last.clear()


@dataclass(frozen=True)
class FunctionSource:
    """A function as a :class:`dlrun.data.source.Source`; see :func:`function`."""

    name: str
    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    options: Mapping[str, Any]

    @cached_property
    def _source(self) -> Source:
        key = (getattr(self.call, "func", self.call), repr(self.arguments))
        if _last.get("key") != key:
            _last.update(key=key, result=self._call())
        return _to_source(self.name, _last["result"], self.options)

    def _call(self) -> Any:
        try:
            return self.call(**self.arguments)
        except DlrunError:
            raise
        except (Exception, SystemExit) as error:
            # None of the function's own means that it could not be called with these arguments.
            own = own_frames(error)
            where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
            raise DlrunError(
                f"data.function={self.name} raised {describe(error)}{where}",
                hint=None if own else "data.arguments.NAME=VALUE is what it is called with",
            ) from error

    def tasks(self) -> Mapping[str | None, str]:
        """See :class:`dlrun.data.source.Source`."""
        return self._source.tasks()

    def describe(self) -> Description:
        """See :class:`dlrun.data.source.Source`."""
        return self._source.describe()

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        source = self._source
        _last.clear()  # the rows are in the data cache, or in the data set
        return source.dataset(saved)


@dataclass(frozen=True)
class DatasetSource:
    """A data set as a :class:`dlrun.data.source.Source`."""

    name: str
    data: Dataset

    def tasks(self) -> Mapping[str | None, str]:
        """See :class:`dlrun.data.source.Source`."""
        found: dict[str | None, str] = {}
        labels, classes = self.data.train.labels, self.data.num_classes

        def add(name: str | None, array: np.ndarray) -> None:
            width = classes[str(name)] if isinstance(classes, Mapping) else classes
            if array.dtype.kind == "f":
                found[name] = "regression"
            elif width == 1:
                found[name] = "binary_classification"
            else:
                several = array.ndim > 1 and array.shape[-1] == width
                found[name] = "multilabel" if several else "classification"

        map_named(add, labels)
        return found

    def describe(self) -> Description:
        """See :class:`dlrun.data.source.Source`."""
        return describe_dataset(self.data, self.name)

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        return self.data.preprocess(saved.preprocessing if saved else None)


def _to_source(name: str, result: Any, options: Mapping[str, Any]) -> Source:
    if isinstance(result, Source):
        return result
    if isinstance(result, Dataset):
        return DatasetSource(name, result)
    tables = {key: value for key, value in options.items() if key not in ("scale", "standardize")}
    if _is_frame(result):
        return _table_source(name, _to_arrow(name, result), tables)
    if isinstance(result, tuple) and len(result) == 2 and _is_frame(result[0]):
        rows, targets = _with_labels(name, *result)
        return _table_source(name, rows, {**tables, "target": options["target"] or targets})
    if (samples := _to_samples(name, result)) is None:
        raise DlrunError(
            f"data.function={name} returned {_about(result)}", hint=f"return {EXPECTED}"
        )
    return array_source(
        f"data.function={name}",
        lambda: samples,
        scale=options["scale"],
        standardize=options["standardize"],
        **options_of_arrays(options),
    )


def _table_source(name: str, rows: pa.Table, options: Mapping[str, Any]) -> Source:
    return arrow_table(f"data.function={name}", lambda: rows, **options)


def _is_frame(value: Any) -> bool:
    """Whether it is a table of pandas, polars, pyarrow or another library of Arrow's protocol."""
    return hasattr(value, "__arrow_c_stream__") and hasattr(value, "columns")


def _to_arrow(name: str, frame: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    names = [str(column) for column in frame.columns]
    if double := next((column for column in names if names.count(column) > 1), None):
        raise DlrunError(
            f"data: data.function={name} has two columns named '{double}'",
            hint="rename one of them",
        )
    try:
        if _is_pandas(frame):
            return pa.Table.from_pandas(frame, preserve_index=False)
        return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _unreadable(name, error) from error


def _is_pandas(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas"


def _unreadable(name: str, error: Exception) -> DlrunError:
    """An error of pyarrow, which says in a second argument in which column it was."""
    texts = [str(part) for part in reversed(error.args)] or [first_line(error)]
    return DlrunError(
        f"data: the table can't be read: data.function={name}: {': '.join(texts)}",
        hint="give each column values of one kind, such as frame['a'].astype(str); or leave it out",
    )


def _with_labels(name: str, frame: Any, labels: Any) -> tuple[pa.Table, list[str]]:
    """A table of the inputs and labels, and the names of the labels' columns."""
    import pyarrow as pa

    rows = _to_arrow(name, frame)
    _refuse_other_order(name, frame, labels)
    if _is_frame(labels):
        of = _to_arrow(name, labels)
    else:
        column = str(getattr(labels, "name", None) or "y")
        try:
            # pandas' own arrays know which of their values are missing.
            of = pa.table({column: pa.array(labels if _is_pandas(labels) else _array(labels))})
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise DlrunError(
                f"data.function={name}: the labels beside a table: {first_line(error)}",
                hint="return one column of labels, or another table of several",
            ) from error
    if len(of) != len(rows):
        raise DlrunError(f"data: there are {len(rows):,} rows, and {len(of):,} labels")
    for column in of.schema.names:
        rows = rows.append_column(column, of.column(column))
    return rows, of.schema.names


def _refuse_other_order(name: str, frame: Any, labels: Any) -> None:
    """Refuse labels of pandas that are shuffled against their rows; by position they are wrong."""
    if not (_is_pandas(frame) and _is_pandas(labels)):
        return
    of_rows, of_labels = frame.index, labels.index
    shuffled = len(of_rows) == len(of_labels) and not of_rows.equals(of_labels)
    if shuffled and not len(of_rows.symmetric_difference(of_labels)):
        raise DlrunError(
            f"data.function={name}: the labels have the index of the rows in another order",
            hint="labels.loc[rows.index]; or reset_index(drop=True) of both, if the order is right",
        )


def _to_samples(name: str, result: Any) -> Samples | None:
    """Arrays ``(x, y)``, or a pair of them, or a Split, for each split."""
    if not isinstance(result, tuple | list):
        return None
    parts = [(p.inputs, p.labels) if isinstance(p, Split) else p for p in result]
    names = next((names for names in SPLITS if len(names) == len(parts)), None)
    try:
        if names and all(isinstance(part, tuple | list) and len(part) == 2 for part in parts):
            pairs = [(_arrays(inputs), _labels(name, labels)) for inputs, labels in parts]
            return Samples.of_splits(dict(zip(names, pairs, strict=True)))
        if len(parts) == 2:
            return Samples(_arrays(parts[0]), _labels(name, parts[1]))
    except ValueError as error:
        raise DlrunError(f"data.function={name}: {first_line(error)}") from error
    return None


def _arrays(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {str(name): _array(array) for name, array in inputs.items()}
    return _array(inputs)


def _labels(name: str, labels: Any) -> np.ndarray:
    if isinstance(labels, Mapping):
        raise DlrunError(
            f"data.function={name}: returned labels by name: {', '.join(map(str, labels))}",
            hint="return a Dataset; or a table, and 'data.target=[a,b]' names its columns",
        )
    return _array(labels)


def _array(values: Any) -> np.ndarray:
    """Values as an array; what a masked one hides would be taken for data.

    Raises:
        ValueError: If some are masked.
    """
    if np.ma.is_masked(values):
        raise ValueError("an array has masked values: fill them in, as array.filled(0)")
    return np.asarray(values)


def _about(result: Any) -> str:
    kind = type(result).__name__
    if isinstance(result, tuple | list):
        kinds = [type(part).__name__ for part in result[:4]]
        return f"a {kind} of {', '.join(kinds)}{', ...' if len(result) > 4 else ''}"
    return kind

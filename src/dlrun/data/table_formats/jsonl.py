"""JSON lines: an object for each row."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.table_formats import TableOptions
from dlrun.data.tabular.column_types import WiderType
from dlrun.data.tabular.column_values import to_texts
from dlrun.data.tabular.number_types import large_integer

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".jsonl", ".ndjson")
COMPRESSED = True
ROWS = 10_000  # at once
BLOCK = 2**20  # bytes read at once


def batches(
    path: Path, types: Mapping[str, Any], options: TableOptions
) -> Iterator[pa.RecordBatch]:
    """See :mod:`dlrun.data.table_formats`.

    pyarrow's own reader takes the columns and types of its first block for all.
    """
    import pyarrow as pa

    names: dict[str, None] = dict.fromkeys(types)
    texts = {name for name, kind in types.items() if kind == pa.string()}
    first, waiting = True, []
    with pa.input_stream(str(path)) as stream:
        for number, line in enumerate(io.BufferedReader(stream, BLOCK), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=object_of)
            except DoubleKeyError as error:
                raise ValueError(f"line {number} has the key {str(error)!a:.80} twice") from None
            except (ValueError, RecursionError) as error:
                start = line[:40].rstrip().decode(errors="replace")
                raise ValueError(f"line {number} is not JSON: {start!a}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not an object")
            if first:
                names |= dict.fromkeys(row)
            elif new := next((name for name in row if name not in names), None):
                raise WiderType(new, str(row[new]))
            waiting.append(row)
            if len(waiting) >= ROWS:
                yield batch_of(waiting, list(names), options, texts=texts)
                first, waiting = False, []
        if waiting:
            yield batch_of(waiting, list(names), options, texts=texts)


class DoubleKeyError(Exception):
    """An object has a key twice, of which Python would keep the last value alone."""


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values.

    Raises:
        DoubleKeyError: Names a key that is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise DoubleKeyError(next(name for name in names if names.count(name) > 1))
    return found


def batch_of(
    rows: list[dict[str, Any]],
    names: list[str],
    options: TableOptions,
    *,
    texts: Collection[str] = (),
) -> pa.RecordBatch:
    """A batch of objects, each column of the type that its values have; texts if of several.

    Args:
        rows: The objects.
        names: The columns.
        options: How to read them.
        texts: The columns of which each value is its own text, whatever the others are.
    """
    import pyarrow as pa

    absent = {"", *options.missing}
    arrays = []
    for name in names:
        values = [None if _is_missing(v := row.get(name), absent) else v for row in rows]
        if name in texts and not any(isinstance(v, dict | list) for v in values):
            array = _own_texts(values)
        else:
            try:
                array = pa.array(values)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                array = _wider_array(values)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _is_missing(value: Any, absent: Collection[str]) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return is_nan or (isinstance(value, str) and value in absent)


def _wider_array(values: list[Any]) -> pa.Array:
    """Numbers if all are some, as of 1e30 among integers; else texts."""
    import pyarrow as pa

    if all(v is None or type(v) is int for v in values):
        with suppress(pa.ArrowInvalid):  # of more than 38 digits
            return pa.array(values, large_integer())
    if all(v is None or type(v) in (int, float) for v in values):
        with suppress(OverflowError):  # of an integer that no float holds
            return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return _own_texts(values)


def _own_texts(values: list[Any]) -> pa.Array:
    """Each value as the text that it has in a column of its kind alone: 7.0 is 7, as floats are."""
    import pyarrow as pa

    texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    floats = [at for at, v in enumerate(values) if isinstance(v, float)]
    if floats:
        written = to_texts(pa.array([values[at] for at in floats], pa.float64())).to_pylist()
        for at, text in zip(floats, written, strict=True):
            texts[at] = text
    return pa.array(texts, pa.string())

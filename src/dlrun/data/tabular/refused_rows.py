"""The rows of a table that can't be encoded, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from dlrun.data.tabular.column_values import WrongValueError
from dlrun.data.tabular.encode_rows import BatchColumns
from dlrun.data.targets import Target

if TYPE_CHECKING:
    import pyarrow as pa


def refused_rows(
    encode: Callable[[pa.RecordBatch], object], batch: pa.RecordBatch
) -> dict[int, str]:
    """What a function refuses of each row, by its place.

    Args:
        encode: Raises :class:`WrongValueError` for the first wrong row of a column.
        batch: The rows.
    """
    found: dict[int, str] = {}
    start = 0
    while start < len(batch):
        try:
            encode(batch.slice(start))
            break
        except WrongValueError as error:
            # Of several columns, a later one may be wrong in a row before.
            before = refused_rows(encode, batch.slice(start, error.row))
            found |= {start + row: why for row, why in before.items()}
            start += error.row + 1
            found[start - 1] = reason(error)
    return found


def refused_targets(targets: Iterable[Target], batch: pa.RecordBatch) -> dict[int, str]:
    """What is no target in each row, by its place.

    A class that the run does not know is a mistake in the choice of the table, not in a row.
    """
    found: dict[int, str] = {}
    for target in targets:
        if not target.classes or (target.kind == "multilabel" and not target.is_list):
            found = refused_rows(partial(_encode, target), batch) | found
    return found


def reason(error: WrongValueError) -> str:
    """What is wrong with a value, for messages that name its row."""
    return f"column '{error.column}': {error.value!r:.80} is not {error.expected}"


def _encode(target: Target, batch: pa.RecordBatch) -> None:
    target.encode(BatchColumns(batch))

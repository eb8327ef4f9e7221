"""A table that is made in memory rather than read from files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.cache import cache_entry, key_of
from dlrun.data.table import Table, table
from dlrun.data.tabular.cached_table import TABLE, write_content
from dlrun.data.tabular.column_types import normal_batch
from dlrun.errors import DlrunError
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2**16  # in a batch


def arrow_table(
    name: str,
    load: Callable[[], pa.Table],
    *,
    target: str | Sequence[str],
    key: Sequence[Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    **options: Any,
) -> ArrowTable:
    """A source whose rows are made by a function when they are needed.

    Args:
        name: What the rows are, for messages.
        load: Makes the rows; it is not called while they are in the data cache.
        target: The column to predict, or several.
        key: What the rows are a function of; None takes their content.
        arguments: What names the rows in a config, in place of ``path``.
        **options: Others of :func:`dlrun.data.table.table`.

    Raises:
        DlrunError: If an argument is impossible.
    """
    require_package("pyarrow", "a table", "data")
    given = table(path=name, target=target, **options)
    shared = {entry.name: getattr(given, entry.name) for entry in fields(given)}
    shared["has_missing"] = False
    return ArrowTable(**shared, load=load, key=key, arguments=dict(arguments or {}))


@dataclass(frozen=True)
class ArrowTable(Table):
    """A table of rows from a function; the arguments are those of :func:`arrow_table`."""

    load: Callable[[], pa.Table]
    key: Sequence[Any] | None
    arguments: Mapping[str, Any]

    @cached_property
    def _rows(self) -> pa.Table:
        rows = self.load()
        names = rows.schema.names
        if double := next((name for name in names if names.count(name) > 1), None):
            raise DlrunError(
                f"data: {self.path} has two columns named '{double}'", hint="rename one of them"
            )
        if not len(rows):
            raise DlrunError(f"data: {self.path} has no rows")
        return rows

    @cached_property
    def entry(self) -> Path:
        """See :class:`dlrun.data.table.Table`."""

        def make(directory: Path) -> None:
            write(self._rows, directory / TABLE, self.path)
            write_content(directory, [("rows", len(self._rows))])

        parts = [_content_key(self._rows)] if self.key is None else self.key
        return cache_entry(key_of("arrow", *parts), make, limit_bytes=self.cache_bytes)

    def explicit(self) -> dict[str, Any]:
        """See :class:`dlrun.data.table.Table`."""
        explicit = super().explicit()
        del explicit["path"]
        return {**self.arguments, **explicit}


def write(rows: pa.Table, target: Path, name: str) -> None:
    """Write rows as an Arrow file with columns of :data:`dlrun.data.tabular.column_types.TYPES`.

    Args:
        rows: A table.
        target: The new file.
        name: What the rows are, for messages.

    Raises:
        DlrunError: If a column is of a type that has no meaning here.
    """
    import pyarrow as pa

    types: dict[str, Any] = {}
    whole = rows.combine_chunks().to_batches()
    normal = [normal_batch(batch, types, Path(name), others=True) for batch in whole]
    with pa.ipc.new_file(str(target), normal[0].schema) as file:
        for batch in normal:
            for start in range(0, len(batch), ROWS):
                file.write_batch(batch.slice(start, ROWS))


def _content_key(rows: pa.Table) -> str:
    import pyarrow as pa

    digest = _Digest()
    with pa.PythonFile(digest, mode="w") as sink, pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows, max_chunksize=ROWS)
    return digest.key


class _Digest:
    """A file that keeps nothing but a hash of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def write(self, content: Any) -> int:
        self._hash.update(content)
        return len(content)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    @property
    def key(self) -> str:
        return self._hash.hexdigest()

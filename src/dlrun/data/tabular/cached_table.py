"""A table in the data cache: an Arrow file of its rows, and what is in its columns."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dlrun.data.tabular.profile import ColumnProfile, profile_table

if TYPE_CHECKING:
    import pyarrow as pa

TABLE, PROFILE = "table.arrow", "profile.json"


class Content(NamedTuple):
    """What is in a table.

    Args:
        files: The rows of each file that it was read from, in order.
        profiles: Each column, in the table's order.
    """

    files: list[tuple[str, int]]
    profiles: dict[str, ColumnProfile]


def write_content(directory: Path, files: Iterable[tuple[str, int]]) -> None:
    """Write what :func:`read_content` reads, beside the rows.

    Args:
        directory: Has :data:`TABLE`.
        files: As of :class:`Content`.
    """
    profiles = profile_table(batches(directory / TABLE))
    content = {
        "files": list(files),
        "columns": [profile.to_dict() for profile in profiles.values()],
    }
    (directory / PROFILE).write_text(json.dumps(content), encoding="utf-8")


def read_content(entry: Path) -> Content:
    """What is in the table of a directory of the cache."""
    content = json.loads((entry / PROFILE).read_text(encoding="utf-8"))
    found = {}
    for column in content["columns"]:
        places = {key: column[key] and tuple(column[key]) for key in ("wrong", "undated")}
        found[column["name"]] = ColumnProfile(**column | places)
    return Content([(name, rows) for name, rows in content["files"]], found)


def batches(path: Path, names: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file, read one at a time.

    Args:
        path: The file.
        names: The columns to read; None for all.
    """
    import pyarrow as pa

    with pa.OSFile(str(path)) as source:
        options = None
        if names is not None:
            schema = pa.ipc.open_file(source).schema
            chosen = [at for at, name in enumerate(schema.names) if name in names]
            options = pa.ipc.IpcReadOptions(included_fields=chosen)
        with pa.ipc.open_file(source, options=options) as file:
            for number in range(file.num_record_batches):
                yield file.get_batch(number)

"""Predictions as a file: columns in a ``.csv``, ``.jsonl``, ``.parquet`` or ``.npz``."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError
from dlrun.inference.described_columns import (
    INTEGER,
    NUMBER,
    TEXTS,
    Columns,
    labels_of,
    named_outputs,
)
from dlrun.inference.parquet_columns import write_parquet
from dlrun.system.arrays import write_npz
from dlrun.system.files import check_writable, is_file, replacing
from dlrun.system.packages import require_package

SUFFIXES = (".npz", ".csv", ".jsonl", ".parquet")
STDOUT = "-"


class Stream(Protocol):
    """What text is written to."""

    def write(self, text: str, /) -> int:
        """Write a text."""

    def flush(self) -> None:
        """Write what is still in memory."""


def check_output(output: Path) -> None:
    """Check that a file can be written, before the predictions are computed.

    Args:
        output: The file.

    Raises:
        DlrunError: If its suffix is unknown, or its directory is missing or not writable.
    """
    if str(output) == STDOUT:
        return
    if output.suffix not in SUFFIXES:
        raise DlrunError(
            f"--output {output}: expected a name that ends in {' or '.join(SUFFIXES)}",
            hint=f"--output {output.with_suffix('.npz')}",
        )
    if output.suffix == ".parquet":
        require_package("pyarrow", "a Parquet file", "data")
    check_writable(output, "--output", name="predictions.npz")


def keep_inputs(output: Path, inputs: Sequence[Path]) -> None:
    """Refuse to replace a file that is read.

    Args:
        output: A path that :func:`check_output` accepts.
        inputs: The files that are read.

    Raises:
        DlrunError: If it is one of them.
    """
    if str(output) == STDOUT or not is_file(output):
        return
    if any(is_file(path) and output.samefile(path) for path in inputs):
        alone = len(inputs) == 1
        which = "the input" if alone else "one of the input's files"
        raise DlrunError(
            f"--output {output}: is {which}, which the predictions would replace",
            # Beside the others, it would be an input the next time.
            hint=f"--output {output.with_stem(f'{output.stem}_predictions')}"
            if alone
            else f"--output predictions{output.suffix}",
        )


@contextmanager
def _errors_of(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error).partition("\n")[0]
        raise DlrunError(f"can't write {output}: {why}", exit_code=1) from error


def write_columns(
    output: Path, parts: Iterator[Columns], *, stdout: Stream | None = None, kind: str = "csv"
) -> None:
    """Write columns part by part; a file atomically.

    Args:
        output: A path that :func:`check_output` accepts.
        parts: Each has the same columns.
        stdout: For the path ``-``.
        kind: ``csv`` or ``jsonl``, for the path ``-``.

    Raises:
        DlrunError: If a file can't be written; an existing one is kept.
    """
    if str(output) == STDOUT:
        assert stdout is not None
        writer = {"csv": _write_csv, "jsonl": _write_jsonl}[kind]
        writer(stdout, parts)
        stdout.flush()
        return
    with _errors_of(output), replacing(output) as partial:
        if output.suffix == ".parquet":
            write_parquet(partial, parts)
        elif output.suffix == ".npz":
            with partial.open("wb") as file:
                write_npz(file, _npz_arrays(parts))
        else:
            writer = {".csv": _write_csv, ".jsonl": _write_jsonl}[output.suffix]
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer(file, parts)


def write_arrays(output: Path, batches: Iterator[Arrays]) -> None:
    """Write a ``.npz`` of the outputs as they are, atomically.

    It has the array ``predictions``, ``(samples, *output_shape)``, and ``labels``, ``(samples,)``,
    for a classifier. Several outputs are distinguished by name: ``department`` and
    ``department_label``.

    Args:
        output: A path that :func:`check_output` accepts.
        batches: The outputs, batch by batch.

    Raises:
        DlrunError: If it can't be written; an existing file is kept.
    """
    with _errors_of(output), replacing(output) as partial, partial.open("wb") as file:
        found: dict[str, list[np.ndarray]] = {}
        for batch in batches:
            for name, values in named_outputs(batch):
                found.setdefault(name, []).append(values)
        arrays = {}
        for name, parts in found.items():
            whole = np.concatenate(parts)
            arrays[name or "predictions"] = whole
            if (labels := labels_of(whole)) is not None:
                arrays[f"{name}_label" if name else "labels"] = labels
        write_npz(file, arrays)


def _write_csv(file: Stream, parts: Iterator[Columns]) -> None:
    writer, head = csv.writer(file), False
    for part in parts:
        if not head:
            writer.writerow(part)
            head = True
        columns = [_csv_cells(kind, values) for kind, values in part.values()]
        writer.writerows(zip(*columns, strict=True))


def _csv_cells(kind: str, values: Sequence[Any]) -> Sequence[Any]:
    if kind == NUMBER:
        return ["" if value is None else repr(value) for value in values]
    if kind == TEXTS:
        return ["" if value is None else "|".join(value) for value in values]
    return [_day(value) for value in values]


def _day(value: Any) -> Any:
    """A time without an hour as the text of its day, as tables hold it; other values unchanged."""
    is_day = isinstance(value, datetime) and value.tzinfo is None and value.time() == time.min
    return value.date().isoformat() if is_day else value


def _write_jsonl(file: Stream, parts: Iterator[Columns]) -> None:
    for part in parts:
        columns = [[_json_value(value) for value in values] for _, values in part.values()]
        for row in zip(*columns, strict=True):
            file.write(json.dumps(dict(zip(part, row, strict=True)), default=str) + "\n")


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else _day(value)


def _npz_arrays(parts: Iterator[Columns]) -> dict[str, np.ndarray]:
    """An array for each column: NaN, -1 or an empty text where there is no value."""
    found: dict[str, tuple[str, list[Any]]] = {}
    for part in parts:
        for name, (kind, values) in part.items():
            found.setdefault(name, (kind, []))[1].extend(values)
    return {name: _npz_array(kind, values) for name, (kind, values) in found.items()}


def _npz_array(kind: str, values: list[Any]) -> np.ndarray:
    if kind == NUMBER:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    if kind == INTEGER or all(type(value) is int and value.bit_length() < 64 for value in values):
        return np.array([-1 if value is None else value for value in values], np.int64)
    if kind == TEXTS:
        values = [None if value is None else "|".join(value) for value in values]
    return np.array(["" if value is None else str(_day(value)) for value in values], str)

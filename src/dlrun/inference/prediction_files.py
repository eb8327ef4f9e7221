"""Predictions as a file: arrays in a ``.npz``, or a row for each sample in a ``.csv``."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError
from dlrun.system.files import check_writable, replacing

SUFFIXES = (".npz", ".csv")


def check_output(output: Path) -> None:
    """Check that a file can be written, before the predictions are computed.

    Raises:
        DlrunError: If its suffix is unknown, or its directory is missing or not writable.
    """
    if output.suffix not in SUFFIXES:
        raise DlrunError(
            f"--output {output}: expected a name in {' or '.join(SUFFIXES)}",
            hint=f"--output {output.with_suffix('.npz')}",
        )
    check_writable(output, "--output", name="predictions.npz")


def write_predictions(output: Path, batches: Iterator[Arrays]) -> None:
    """Write the predictions atomically.

    A ``.npz`` has the array ``predictions``, ``(samples, *output_shape)``, and ``labels``,
    ``(samples,)``, for a classifier. A ``.csv`` has the columns ``index``, ``label`` and
    ``output_0``, ``output_1``, .... Several outputs are distinguished by name: the arrays are
    ``department`` and ``department_label``, the columns ``department_label``, ``department_0``,
    ..., and just ``priority`` for a single number.

    Args:
        output: A path that :func:`check_output` accepts.
        batches: The outputs, batch by batch.

    Raises:
        OSError: If it can't be written; an existing file is kept.
    """
    with replacing(output) as partial:
        if output.suffix == ".csv":
            with partial.open("w", newline="", encoding="utf-8") as file:
                _write_csv(file, batches)
        else:
            with partial.open("wb") as file:
                np.savez(file, **_arrays(list(batches)))  # type: ignore[arg-type]  # allow_pickle


def _arrays(batches: list[Arrays]) -> dict[str, np.ndarray]:
    arrays = {}
    for name in _names(batches[0]):
        whole = np.concatenate([_output(batch, name) for batch in batches])
        arrays[name or "predictions"] = whole
        if (labels := _labels(whole)) is not None:
            arrays[f"{name}_label" if name else "labels"] = labels
    return arrays


def _write_csv(file: Any, batches: Iterator[Arrays]) -> None:
    writer, index = csv.writer(file), 0
    for batch in batches:
        head, columns = ["index"], []
        for name in _names(batch):
            values = _output(batch, name)
            if (labels := _labels(values)) is not None:
                head.append(f"{name}_label" if name else "label")
                columns.append([str(label) for label in labels])
            flat = values.reshape(len(values), -1)
            is_scalar = name and flat.shape[1] == 1
            head += [name if is_scalar else f"{name or 'output'}_{i}" for i in range(flat.shape[1])]
            columns += [[repr(float(value)) for value in column] for column in flat.T]
        if index == 0:
            writer.writerow(head)
        for row in zip(*columns, strict=True):
            writer.writerow([index, *row])
            index += 1


def _names(batch: Arrays) -> list[str]:
    """The outputs' names; a single output has the name ``""``."""
    return list(batch) if isinstance(batch, Mapping) else [""]


def _output(batch: Arrays, name: str) -> np.ndarray:
    return batch[name] if isinstance(batch, Mapping) else batch


def _labels(predictions: np.ndarray) -> np.ndarray | None:
    classes = predictions.ndim == 2 and predictions.shape[1] > 1
    return predictions.argmax(axis=1) if classes else None

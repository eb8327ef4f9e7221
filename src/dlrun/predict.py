"""``dlrun predict``: a run's predictions, for its test split or for the user's own arrays."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun import trained
from dlrun.errors import DlrunError

SUFFIXES = (".npz", ".csv")


def predict(
    run: str,
    overrides: Sequence[str] = (),
    *,
    which: str = "best",
    source: Path | None = None,
    array: str | None = None,
    output: Path | None = None,
    runs_dir: Path = Path("runs"),
    config_dir: Path | None = None,
) -> dict[str, Any]:
    """Predict in batches and write the predictions.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config: backend, device, batch size.
        which: ``best``, ``last`` or the number of an epoch.
        source: A ``.npy`` or ``.npz`` of inputs, ``(samples, *input_shape)``: integers are scaled
            as the training data were, floats are taken as scaled. None takes the test split.
        array: Which array of a ``.npz``; needed where it has several.
        output: A ``.npz`` (array ``predictions``, and ``labels`` where there are classes) or a
            ``.csv`` (one row per sample); by default ``predictions.npz`` in the run directory.
        runs_dir: Where ``latest`` looks.
        config_dir: The user's own options.

    Returns:
        The result, as ``dlrun predict --json`` prints it.

    Raises:
        DlrunError: If the run, the input or the output is unusable.
    """
    opened, config = trained.open_run(run, overrides, runs_dir=runs_dir, config_dir=config_dir)
    output = output or opened.path / "predictions.npz"
    _check_output(output)
    shape = tuple(opened.record.get("input_shape", ()))
    inputs = None if source is None else _read_inputs(source, array, shape)

    loaded = trained.load(opened, config, which, compiled=False)
    if inputs is None:
        inputs = loaded.data.split("test").inputs

    from dlrun.build import with_activation

    model = with_activation(loaded.model, config, loaded.data)

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, len(inputs), config.batch_size):
            batch = loaded.data.prepare(np.asarray(inputs[start : start + config.batch_size]))
            yield np.asarray(model.predict_on_batch(batch))

    try:
        _write(output, batches())
    except OSError as error:
        raise DlrunError(f"can't write {output}: {error.strerror}", exit_code=1) from error
    return {
        "run_dir": str(opened.path),
        "checkpoint": which,
        "epoch": loaded.epoch,
        "backend": config.backend.name,
        "input": str(source) if source else "test",
        "samples": len(inputs),
        "output": str(output),
    }


def _check_output(output: Path) -> None:
    if output.suffix not in SUFFIXES:
        raise DlrunError(
            f"--output {output}: expected a name in {' or '.join(SUFFIXES)}",
            hint=f"--output {output.with_suffix('.npz')}",
        )
    if output.is_dir():
        raise DlrunError(f"--output {output} is a directory", hint=f"{output / 'predictions.npz'}")
    if not output.parent.is_dir():
        raise DlrunError(
            f"--output {output}: there is no directory {output.parent}",
            hint=f"mkdir -p {output.parent}",
        )
    probe = _partial(output)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DlrunError(
            f"--output {output} can't be written: {error.strerror}", hint="choose another place"
        ) from error


def _read_inputs(source: Path, array: str | None, shape: tuple[int, ...]) -> np.ndarray:
    """The user's inputs, checked; a ``.npy`` stays on disk and is read by batches."""
    if source.suffix not in (".npy", ".npz"):
        raise DlrunError(f"--input {source}: expected a .npy or .npz file")
    if not source.is_file():
        raise DlrunError(f"--input {source}: no such file")
    inputs: np.ndarray
    try:
        if source.suffix == ".npy":
            inputs = np.load(source, mmap_mode="r", allow_pickle=False)
        else:
            inputs = _from_npz(source, array)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DlrunError(
            f"--input {source} can't be read: {error}", hint="write it with numpy.save"
        ) from error
    if not (np.issubdtype(inputs.dtype, np.integer) or np.issubdtype(inputs.dtype, np.floating)):
        raise DlrunError(f"--input {source}: expected numbers, got dtype {inputs.dtype}")
    if inputs.ndim != len(shape) + 1 or inputs.shape[1:] != shape:
        expected = ", ".join(["samples", *map(str, shape)])
        raise DlrunError(
            f"--input {source}: expected shape ({expected}), got {inputs.shape}",
            hint="one sample needs a leading axis too: x[None]" if inputs.shape == shape else None,
        )
    if not len(inputs):
        raise DlrunError(f"--input {source}: has no samples")
    return inputs


def _from_npz(source: Path, array: str | None) -> np.ndarray:
    with np.load(source, allow_pickle=False) as arrays:
        names = list(arrays)
        if array is None and len(names) == 1:
            [array] = names
        if array not in names:
            told = "has several arrays" if array is None else f"has no array '{array}'"
            raise DlrunError(
                f"--input {source}: {told}: {', '.join(names)}",
                hint=f"--array {names[0]}" if names else None,
            )
        read: np.ndarray = arrays[array]
        return read


def _write(output: Path, batches: Iterator[np.ndarray]) -> None:
    """Write the predictions under another name and rename: whole or not at all."""
    partial = _partial(output)
    try:
        if output.suffix == ".csv":
            with partial.open("w", newline="", encoding="utf-8") as file:
                _write_csv(file, batches)
        else:
            predictions = np.concatenate(list(batches))
            arrays = {"predictions": predictions}
            if (labels := _labels(predictions)) is not None:
                arrays["labels"] = labels
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub's allow_pickle
        partial.replace(output)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write_csv(file: Any, batches: Iterator[np.ndarray]) -> None:
    writer, index = csv.writer(file), 0
    for batch in batches:
        labels, flat = _labels(batch), batch.reshape(len(batch), -1)
        if index == 0:
            label = [] if labels is None else ["label"]
            writer.writerow(["index", *label, *(f"output_{i}" for i in range(flat.shape[1]))])
        for row, values in enumerate(flat):
            label = [] if labels is None else [str(labels[row])]
            writer.writerow([index, *label, *(repr(float(value)) for value in values)])
            index += 1


def _labels(predictions: np.ndarray) -> np.ndarray | None:
    classes = predictions.ndim == 2 and predictions.shape[1] > 1
    return predictions.argmax(axis=1) if classes else None


def _partial(output: Path) -> Path:
    return output.with_name(f".{output.name}.partial-{os.getpid()}")

"""``dlrun predict``: a run's predictions for its test split or the user's own arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun import feeds
from dlrun.data.images import find_images
from dlrun.data.input_spec import InputSpec
from dlrun.data.preprocessing.images import takes_images
from dlrun.data.readers import read_inputs
from dlrun.data.tree import Arrays, Tree, leaves, tree_map
from dlrun.errors import DlrunError
from dlrun.inference.loaded_run import load_run, open_run, read_input_spec
from dlrun.inference.prediction import predict_batches
from dlrun.inference.prediction_files import check_output, write_predictions
from dlrun.runs.directory import RECORD, RunDir
from dlrun.system.finite import first_not_finite


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
    trusted: Sequence[str] = (),
) -> dict[str, Any]:
    """Predict in batches and write the predictions.

    With ``source`` the training data are not read: the run has saved the input spec.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config: backend, device, batch size.
        which: ``best``, ``last`` or the number of an epoch.
        source: For a model of images an image, a folder of them or a pattern; or a ``.npy`` or
            ``.npz`` of inputs, ``(samples, *input_shape)``: integers are scaled
            as the training data were, floats must be scaled already. For a model with several
            inputs, a ``.npz`` with an array per input, by name. None takes the test split.
        array: The array of a ``.npz``; required if it has several and the model takes one.
        output: A ``.npz`` or ``.csv``; by default ``predictions.npz`` in the run directory. See
            :func:`dlrun.inference.prediction_files.write_predictions`.
        runs_dir: Where to look for ``latest``.
        config_dir: The user's own options.
        trusted: Modules that the run may name, beside those that the user's options name.

    Returns:
        The result, as ``dlrun predict --json`` prints it.

    Raises:
        DlrunError: If the run, the input or the output is unusable.
    """
    opened, config = open_run(
        run,
        overrides,
        runs_dir=runs_dir,
        config_dir=config_dir,
        trusted=trusted,
        needs_data=source is None,
    )
    output = output or opened.path / "predictions.npz"
    check_output(output)
    if config.feed.get("_target_") not in feeds.GATHERED:
        raise DlrunError(
            f"feed={config.choices.get('feed')}: predict gathers its batches itself",
            hint="leave it out",
        )
    spec = None if source is None else read_input_spec(opened, overrides)
    shape = spec.input_shape if spec else _input_shape(opened)
    inputs = None if source is None else _read_samples(source, array, spec, shape)

    loaded = load_run(opened, config, which, compiled=False, spec=spec)
    samples = loaded.data.split("test").inputs if inputs is None else inputs
    if inputs is not None:
        from dlrun.assembly.check_inputs import check_inputs

        check_inputs(loaded.model, loaded.spec, {f"--input {source}: inputs": inputs})
    predictions = predict_batches(loaded.model, config, loaded.spec, samples)

    try:
        write_predictions(output, predictions)
    except OSError as error:
        raise DlrunError(f"can't write {output}: {error.strerror}", exit_code=1) from error
    return {
        "run_dir": str(opened.path),
        "checkpoint": which,
        "epoch": loaded.epoch,
        "backend": config.backend.name,
        "input": str(source) if source else "test",
        "samples": len(leaves(samples)[0]),
        "output": str(output),
    }


def _input_shape(run: RunDir) -> Tree[tuple[int, ...]]:
    shape = run.record.get("input_shape", [])
    if not all(
        isinstance(leaf, list) and all(isinstance(n, int) for n in leaf) for leaf in leaves(shape)
    ):
        raise DlrunError(f"{run.path / RECORD} can't be read: input_shape is {shape!a:.80}")
    return tree_map(tuple, shape)


def _read_samples(
    source: Path, array: str | None, spec: InputSpec | None, shape: Tree[tuple[int, ...]]
) -> Arrays:
    """Read and check the user's samples, preprocessed as the run's were."""
    names = tuple(shape) if isinstance(shape, Mapping) else ()
    if spec and takes_images(spec) and source.suffix not in (".npy", ".npz"):
        inputs: Arrays = np.asarray([str(path) for path in find_images(source)])
    else:
        inputs = read_inputs(source, names=spec.raw_names if spec else names, array=array)
    if spec:
        try:
            inputs = spec.preprocess(inputs)
        except ValueError as error:
            raise DlrunError(f"--input {source}: {error}") from error
    labels = [f"--input {source}, array {name}" for name in names] or [f"--input {source}"]
    for label, values, expected in zip(labels, leaves(inputs), leaves(shape), strict=True):
        _check_input(label, values, expected)
    if len({len(values) for values in leaves(inputs)}) > 1:
        shapes = ", ".join(f"{n} {x.shape}" for n, x in zip(names, leaves(inputs), strict=True))
        raise DlrunError(f"--input {source}: the arrays differ in length: {shapes}")
    return inputs


def _check_input(label: str, inputs: np.ndarray, shape: tuple[int, ...]) -> None:
    if not (np.issubdtype(inputs.dtype, np.integer) or np.issubdtype(inputs.dtype, np.floating)):
        raise DlrunError(f"{label}: expected numbers, got dtype {inputs.dtype}")
    if inputs.ndim != len(shape) + 1 or inputs.shape[1:] != shape:
        expected = ", ".join(["samples", *map(str, shape)])
        raise DlrunError(
            f"{label}: expected shape ({expected}), got {inputs.shape}",
            hint="add an axis to a single sample: x[None]" if inputs.shape == shape else None,
        )
    if not len(inputs):
        raise DlrunError(f"{label}: has no samples")
    if not np.issubdtype(inputs.dtype, np.integer) and (
        bad := first_not_finite(inputs, np.float32)
    ):
        raise DlrunError(
            f"{label}: the value at {list(bad)} is {inputs[bad]}",
            hint="remove the sample, or fill in the value",
        )

"""``dlrun predict``: a run's predictions for its test split, or for samples of the user's own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun import feeds
from dlrun.config.project import HERE, Project
from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.readers import STDIN, Part, Reader, open_reader
from dlrun.data.tree import Tree, leaves, tree_map
from dlrun.errors import DlrunError
from dlrun.inference.checked_parts import CheckedParts
from dlrun.inference.described_columns import DescribedColumns, Plain
from dlrun.inference.loaded_run import load_run, open_run, read_input_spec, read_saved_spec
from dlrun.inference.own_data import make_request
from dlrun.inference.prediction import predict_columns, predict_parts
from dlrun.inference.prediction_files import (
    STDOUT,
    check_output,
    keep_inputs,
    write_arrays,
    write_columns,
)
from dlrun.remote.places import require_output
from dlrun.runs.directory import RECORD, RunDir

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.inference.prediction_files import Stream

log = logging.getLogger("dlrun")


def predict(
    run: str,
    overrides: Sequence[str] = (),
    *,
    which: str = "best",
    source: Path | None = None,
    array: str | None = None,
    output: Path | None = None,
    ids: Sequence[str] = (),
    top: int | None = None,
    on_error: str = "fail",
    stdout: Stream | None = None,
    stdout_kind: str | None = None,
    runs_dir: Path = Path("runs"),
    project: Project = HERE,
) -> dict[str, Any]:
    """Predict in batches and write the predictions.

    With ``source`` the training data are not read: the run has saved the input spec.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config: backend, device, batch size.
        which: ``best``, ``last`` or the number of an epoch.
        source: What a reader of :mod:`dlrun.data.readers` takes: for a run that was trained on a
            table, a table with the run's columns, or ``-`` for JSON lines on the standard input;
            for one that was trained on images or texts, a file, a folder or a pattern;
            a ``.npy`` or ``.npz`` of inputs, ``(samples, *input_shape)``: integers are scaled as
            the training data were, floats must be scaled already. For a model with several inputs,
            a ``.npz`` with an array per input, by name. None takes the test split.
        array: The array of a ``.npz``; required if it has several and the model takes one.
        output: A ``.npz``, ``.csv``, ``.jsonl`` or ``.parquet``, or ``-``; by default
            ``predictions.npz`` in the run directory. See :mod:`dlrun.inference.described_columns`.
        ids: Columns of a table that name its rows; by default those called id, or like it.
        top: Write so many of the best classes instead of every class.
        on_error: ``fail`` at a sample that can't be read, or ``skip`` it: it has no prediction.
        stdout: For ``output`` ``-``; by default the standard output.
        stdout_kind: ``csv`` or ``jsonl``; by default that of the input.
        runs_dir: Where to look for ``latest``.
        project: The user's own options, and what is trusted.

    Returns:
        The result, as ``dlrun predict --json`` prints it.

    Raises:
        DlrunError: If the run, the input or the output is unusable.
    """
    opened, config = open_run(
        run, overrides, runs_dir=runs_dir, project=project, needs_data=source is None
    )
    require_output(output, opened.path, "predictions.npz")
    output = output or opened.predictions
    check_output(output)
    _require_gathered(config)
    recorded = _spec_of_record(opened)  # refused even where it is not needed
    spec: InputSpec | None = None
    reader: Reader | None = None
    checked: CheckedParts | None = None
    if source is not None:
        spec = read_input_spec(opened, overrides)
        given = {"array": array, "ids": tuple(ids)}
        request = make_request(source, spec or recorded, config, **given)
        reader = open_reader(request)
        keep_inputs(output, reader.files)
        # The first samples are read before a framework is imported.
        checked = CheckedParts(reader.parts(), source, skip=on_error == "skip")
    _describe(spec or read_saved_spec(opened), config, top)  # to refuse --top

    loaded = load_run(opened, config, which, compiled=False, spec=spec)
    parts: Iterable[Part] = checked or [_whole(loaded.data.split("test").inputs)]
    described = _describe(loaded.spec, config, top)
    if described is None and str(output) != STDOUT and output.suffix == ".npz":
        write_arrays(output, predict_parts(loaded, parts))
    else:
        columns = predict_columns(loaded, parts, described or Plain(), errors=on_error == "skip")
        kind = stdout_kind or ("jsonl" if _is_json_lines(source) else "csv")
        write_columns(output, columns, stdout=stdout or sys.stdout, kind=kind)
    notes = reader.notes() if reader else []
    for note in notes:
        log.warning("%s", note)
    right = checked.rows - checked.wrong if checked else len(loaded.data.split("test"))
    result = {
        "run_dir": str(opened.path),
        "checkpoint": loaded.checkpoint(which),
        "epoch": loaded.epoch,
        "backend": loaded.computed_by,
        "input": str(source) if source else "test",
        "samples": right,
        "output": str(output),
    }
    return result | ({"skipped": checked.wrong, "notes": notes} if checked and described else {})


def _require_gathered(config: Config) -> None:
    """Refuse a feed that makes its own batches."""
    if config.feed.get("_target_") not in feeds.GATHERED:
        raise DlrunError(
            f"feed={config.choices.get('feed')}: predict gathers its batches itself",
            hint="leave it out",
        )


def _spec_of_record(run: RunDir) -> InputSpec:
    """The shapes of the inputs, of a run that saved no spec."""
    shape: Tree[Any] = run.record.get("input_shape", [])
    if not all(
        isinstance(leaf, list) and all(isinstance(n, int) for n in leaf) for leaf in leaves(shape)
    ):
        raise DlrunError(f"{run.path / RECORD} can't be read: input_shape is {shape!a:.80}")
    inputs = tree_map(lambda leaf: ArraySpec(tuple(leaf), "float32"), shape)
    return InputSpec(inputs, ArraySpec((), "float32"), 1)


def _describe(spec: InputSpec | None, config: Config, top: int | None) -> DescribedColumns | None:
    """What describes the outputs of a run; None if it does not know what they mean."""
    if spec is not None and spec.targets is not None:
        return DescribedColumns(spec, config, top)
    if spec is not None and top is not None:
        raise DlrunError(f"--top {top}: the run's classes have no names", hint="leave it out")
    return None


def _whole(inputs: Any) -> Part:
    return Part(inputs, np.arange(1, len(leaves(inputs)[0]) + 1), "")


def _is_json_lines(source: Path | None) -> bool:
    return source is not None and (str(source) == STDIN or ".jsonl" in source.suffixes)

"""``dlrun predict``: a run's predictions for its test split, or for samples of the user's own."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun import feeds
from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.readers import STDIN, Part, Reader, Request, open_reader
from dlrun.data.tables import TableOptions
from dlrun.data.tree import Arrays, Tree, leaves, tree_map
from dlrun.errors import DlrunError
from dlrun.inference.described import Columns, Described, Plain, named_outputs
from dlrun.inference.loaded_run import (
    LoadedRun,
    load_run,
    open_run,
    read_input_spec,
    read_saved_spec,
)
from dlrun.inference.prediction import predictor
from dlrun.inference.prediction_files import STDOUT, check_output, write_arrays, write_columns
from dlrun.runs.directory import RECORD, RunDir

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.inference.prediction_files import Stream

log = logging.getLogger("dlrun")

AT_ONCE = 4096  # samples whose predictions are described together
SHOWN = 5  # samples that could not be read
POLICIES = ("fail", "skip")
STDOUT_KINDS = ("csv", "jsonl")


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
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
) -> dict[str, Any]:
    """Predict in batches and write the predictions.

    With ``source`` the training data are not read: the run has saved the input spec.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config: backend, device, batch size.
        which: ``best``, ``last`` or the number of an epoch.
        source: What a reader of :mod:`dlrun.data.readers` takes: for a run that was trained on a
            table, a table with the run's columns, or ``-`` for JSON lines on the standard input;
            a ``.npy`` or ``.npz`` of inputs, ``(samples, *input_shape)``: integers are scaled as
            the training data were, floats must be scaled already. For a model with several inputs,
            a ``.npz`` with an array per input, by name. None takes the test split.
        array: The array of a ``.npz``; required if it has several and the model takes one.
        output: A ``.npz``, ``.csv``, ``.jsonl`` or ``.parquet``, or ``-``; by default
            ``predictions.npz`` in the run directory. See :mod:`dlrun.inference.described`.
        ids: Columns of a table that name its rows; by default those called id, or like it.
        top: Write so many of the best classes instead of every class.
        on_error: ``fail`` at a sample that can't be read, or ``skip`` it: it has no prediction.
        stdout: For ``output`` ``-``; by default the standard output.
        stdout_kind: ``csv`` or ``jsonl``; by default that of the input.
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
    spec: InputSpec | None = None
    reader: Reader | None = None
    parts: Iterator[Part] = iter(())
    skipped = _Skipped(on_error, source)
    if source is not None:
        spec = read_input_spec(opened, overrides)
        request = _request(source, spec or _spec_of_record(opened), config, array, ids)
        reader = open_reader(request)
        parts = skipped.checked(reader.parts())  # the first is read before a framework is imported
    described = _described(spec or read_saved_spec(opened), config, top)

    loaded = load_run(opened, config, which, compiled=False, spec=spec)
    if source is None:
        parts = iter([_all_samples(loaded.data.split("test").inputs, "test")])
    described = described or _described(loaded.spec, config, top)
    suffix = output.suffix if str(output) != STDOUT else ""
    counted = _Counted(parts)
    if described is None and suffix == ".npz":
        write_arrays(output, _batches(loaded, config, counted, source))
    else:
        shown = described or Plain()
        tables = _tables(loaded, config, counted, shown, source, errors=on_error == "skip")
        kind = stdout_kind or ("jsonl" if _is_json_lines(source) else "csv")
        write_columns(output, tables, stdout=stdout or sys.stdout, kind=kind)
    notes = reader.notes() if reader else []
    for note in notes:
        log.warning("%s", note)
    skipped.report(counted.rows)
    result = {
        "run_dir": str(opened.path),
        "checkpoint": which,
        "epoch": loaded.epoch,
        "backend": config.backend.name,
        "input": str(source) if source else "test",
        "samples": counted.rows - skipped.count,
        "output": str(output),
    }
    return result | ({"skipped": skipped.count, "notes": notes} if described and source else {})


class _Skipped:
    """The samples that could not be read, and what to do with them.

    Args:
        policy: One of :data:`POLICIES`.
        source: What the user named.
    """

    def __init__(self, policy: str, source: Path | None) -> None:
        self._policy, self._source = policy, source
        self.count = 0

    def checked(self, parts: Iterator[Part]) -> Iterator[Part]:
        """The parts, of which the first is read at once."""
        first = next(parts, None)
        if first is None:
            raise DlrunError(f"--input {self._source}: has no rows")
        self._note(first)

        def others() -> Iterator[Part]:
            for part in parts:
                self._note(part)
                yield part

        return itertools.chain([first], others())

    def _note(self, part: Part) -> None:
        wrong = [f"{part.source}: row {part.rows[n]:,}: {why}" for n, why in part.wrong.items()]
        if wrong and self._policy == "fail":
            more = f"; {len(wrong) - 1:,} more rows are wrong" if len(wrong) > 1 else ""
            raise DlrunError(
                f"{wrong[0]}{more}",
                hint="correct it, or --on-error skip leaves such rows without a prediction",
            )
        for line in wrong[: max(SHOWN - self.count, 0)]:
            log.warning("%s", line)
        self.count += len(wrong)

    def report(self, rows: int) -> None:
        """Say how many there were."""
        if self.count > SHOWN:
            log.warning("%s more rows could not be read", f"{self.count - SHOWN:,}")
        if rows and self.count == rows:
            raise DlrunError(f"--input {self._source}: no row could be read", exit_code=1)


class _Counted:
    """The parts, and how many samples they had."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self.rows = 0

    def __iter__(self) -> Iterator[Part]:
        for part in self._parts:
            self.rows += len(part.rows)
            yield part


def _spec_of_record(run: RunDir) -> InputSpec:
    """The shapes of the inputs, of a run that saved no spec."""
    shape: Tree[Any] = run.record.get("input_shape", [])
    if not all(
        isinstance(leaf, list) and all(isinstance(n, int) for n in leaf) for leaf in leaves(shape)
    ):
        raise DlrunError(f"{run.path / RECORD} can't be read: input_shape is {shape!a:.80}")
    inputs = tree_map(lambda leaf: ArraySpec(tuple(leaf), "float32"), shape)
    return InputSpec(inputs, ArraySpec((), "float32"), 1)


def _request(
    source: Path, spec: InputSpec, config: Config, array: str | None, ids: Sequence[str]
) -> Request:
    data: Mapping[str, Any] = config.data
    size = config.batch_size
    return Request(
        source,
        spec,
        rows=size * max(1, 1024 // size),  # whole batches
        array=array,
        ids=tuple(ids),
        format=data.get("format"),
        table=TableOptions(
            data.get("delimiter"),
            str(data.get("decimal", ".")),
            tuple(map(str, data.get("missing") or ())),
        ),
    )


def _described(spec: InputSpec | None, config: Config, top: int | None) -> Described | None:
    """What describes the outputs of a run; None if it does not know what they mean."""
    if spec is None:
        return None
    if spec.targets is not None:
        return Described(spec, config, top)
    if top is not None:
        raise DlrunError(f"--top {top}: the run's classes have no names", hint="leave it out")
    return None


def _all_samples(inputs: Arrays, label: str) -> Part:
    return Part(inputs, np.arange(1, len(leaves(inputs)[0]) + 1), label)


def _batches(
    loaded: LoadedRun, config: Config, parts: _Counted, source: Path | None
) -> Iterator[Arrays]:
    """The outputs of samples in memory, batch by batch."""
    predict = predictor(loaded.model, config, loaded.spec)
    for part in parts:
        if source is not None:
            _check(loaded, part)
        yield from predict(part.inputs, False)


def _tables(
    loaded: LoadedRun,
    config: Config,
    parts: _Counted,
    described: Described | Plain,
    source: Path | None,
    *,
    errors: bool,
) -> Iterator[Columns]:
    """The predictions as columns, part by part."""
    predict = predictor(loaded.model, config, loaded.spec, units=False)
    fill = isinstance(described, Described)
    for number, part in enumerate(parts):
        if source is not None and number == 0:  # the others are of the same form
            _check(loaded, part)
        if len(part.rows) <= max(AT_ONCE, config.batch_size):
            outputs = _joined(list(predict(part.inputs, fill)), loaded.spec)
            yield described.columns(part, outputs, errors=errors)
            continue
        first = 0  # samples in memory, none of which is wrong
        for outputs in predict(part.inputs, fill):
            rows = slice(first, first + len(leaves(outputs)[0]))
            names = {name: values[rows] for name, values in part.names.items()}
            piece = replace(part, rows=part.rows[rows], names=names)
            yield described.columns(piece, outputs, errors=errors)
            first = rows.stop


def _joined(batches: list[Arrays], spec: InputSpec) -> Arrays:
    """The outputs of a part; of one without samples, too."""
    if not batches:
        return tree_map(lambda classes: np.zeros((0, classes)), spec.num_classes)
    joined = {
        name: np.concatenate([dict(named_outputs(batch))[name] for batch in batches])
        for name, _ in named_outputs(batches[0])
    }
    return joined.get("", joined)


def _check(loaded: LoadedRun, part: Part) -> None:
    from dlrun.assembly.check_inputs import check_inputs

    if len(leaves(part.inputs)[0]):
        check_inputs(loaded.model, loaded.spec, {f"{part.source}: inputs": part.inputs})


def _is_json_lines(source: Path | None) -> bool:
    return source is not None and (str(source) == STDIN or ".jsonl" in source.suffixes)

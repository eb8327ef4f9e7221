"""A user's file for a run: how it is read, and as a data set to evaluate on."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun.errors import DlrunError
from dlrun.inference.loaded_run import read_input_spec

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset, Split
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.readers import Part, Request
    from dlrun.data.table_formats import TableOptions
    from dlrun.runs.directory import RunDir

log = logging.getLogger("dlrun")

PART_BYTES = 64 * 2**20  # of the inputs that are read at once, as float32


class OwnData(NamedTuple):
    """All samples of a file, as each split of a data set, and what was unusual in them.

    ``skipped`` others could not be read.
    """

    dataset: Dataset
    notes: list[str]
    skipped: int


def make_request(source: Path, spec: InputSpec, config: Config, **options: Any) -> Request:
    """What to read, as the run's config reads tables.

    Args:
        source: What the user named.
        spec: The run's.
        config: The run's.
        options: Of :class:`dlrun.data.readers.Request`.
    """
    from dlrun.data.readers import Request
    from dlrun.data.tree import leaves

    data: Mapping[str, Any] = config.data
    size = config.batch_size
    a_sample = sum(4 * math.prod(array.shape) for array in leaves(spec.inputs))
    at_once = min(1024, PART_BYTES // max(a_sample, 1))
    return Request(
        source,
        spec,
        rows=size * max(1, at_once // size),  # whole batches
        format=data.get("format"),
        encoding=data.get("encoding"),
        image=data.get("image"),
        blank=data.get("blank", "missing"),
        table=_table_options(data),
        **options,
    )


def _table_options(data: Mapping[str, Any]) -> TableOptions:
    from dlrun.data.table_formats import TableOptions
    from dlrun.data.tabular.reading_options import reading_options

    try:
        return reading_options(
            data.get("delimiter"), data.get("decimal", "."), data.get("missing") or ()
        )
    except DlrunError:
        if str(data.get("_target_")).startswith("dlrun."):
            raise
        return TableOptions()  # a data set of the user's own has these keys for something else


def read_own_data(
    source: Path, run: RunDir, overrides: Sequence[str], config: Config, *, skip: bool = False
) -> OwnData:
    """All samples of a file and their labels, encoded as the run's were.

    Args:
        source: What the user named.
        run: The run.
        overrides: As typed.
        config: The run's config, with the overrides applied.
        skip: Whether samples that can't be read are left out, and not an error.

    Raises:
        DlrunError: If the file is not what the run takes, a label is unknown, or the run does not
            know what its labels mean.
    """
    from dlrun.assembly.check_data import check_samples
    from dlrun.data.dataset import Dataset
    from dlrun.data.readers import open_reader
    from dlrun.inference.checked_parts import CheckedParts

    spec = read_input_spec(run, overrides)
    if spec is None:
        raise DlrunError(
            f"--data {source}: the run has not saved what its inputs are, or another data set is"
            " chosen",
            hint="leave the overrides of data out, or leave out --data",
        )
    weight = config.data.get("weight")
    weight = weight if weight is None else str(weight)
    reader = open_reader(
        make_request(source, spec, config, key="--data", labels=True, weight=weight)
    )
    checked = CheckedParts(
        reader.parts(), source, skip=skip, key="--data", skipping="leaves such {} out"
    )
    samples = _read_all(checked, spec)
    notes = reader.notes()
    for note in notes:
        log.warning("%s", note)
    if not len(samples):
        raise DlrunError(f"--data {source}: no row has a target")
    dataset = Dataset(
        *(samples, samples, samples),
        num_classes=spec.num_classes,
        scale=spec.scale,
        preprocessing=spec.preprocessing,
        sizes=spec.sizes,
        targets=spec.targets,
    )
    check_samples(dataset, config, f"--data {source}")
    return OwnData(dataset, notes, checked.wrong)


def _read_all(parts: Iterable[Part], spec: InputSpec) -> Split:
    """All samples that can be read. They stay outside of memory."""
    import numpy as np

    from dlrun.data.dataset import Split
    from dlrun.data.files.spool import Spool
    from dlrun.data.sample_ids import SampleIds

    names: list[str] = []
    outputs = spec.labels if isinstance(spec.labels, Mapping) else None
    with Spool() as inputs, Spool() as labels, Spool() as weights:
        for part in parts:
            assert part.labels is not None, "the request asks for them"
            inputs.add(part.inputs)
            labels.add(part.labels)
            names += _names_of(part)
            if part.weights is not None:
                of_each = part.weights
                weights.add(of_each if outputs is None else dict.fromkeys(outputs, of_each))
        x, y, weight = inputs.arrays(), labels.arrays(), weights.arrays()
    assert x is not None, "there is a part"
    assert y is not None, "there is a part"
    split = Split(x, y, weight)
    if len(names) != len(split):
        return split
    return replace(split, ids=SampleIds(np.arange(len(names)), names))


def _names_of(part: Part) -> list[str]:
    """What a user knows each sample that could be read by: its file, its id, or its row."""
    right = part.is_right.tolist()
    if part.files is not None:
        return [str(path) for path in compress(part.files, right)]
    columns = list(part.names.values())
    if set(part.names) <= {"file"}:
        columns.append([f"row {row}" for row in part.rows.tolist()])
    return [", ".join(map(str, row)) for row in compress(zip(*columns, strict=True), right)]

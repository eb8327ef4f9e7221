"""A user's file for a run: how it is read, and as a data set to evaluate on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun.errors import DlrunError
from dlrun.inference.loaded_run import read_input_spec

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    import numpy as np

    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.readers import Request
    from dlrun.data.tree import Arrays
    from dlrun.runs.directory import RunDir

log = logging.getLogger("dlrun")


class OwnData(NamedTuple):
    """All samples of a file, as each split of a data set, and what was unusual in them."""

    dataset: Dataset
    notes: list[str]


def make_request(source: Path, spec: InputSpec, config: Config, **options: Any) -> Request:
    """What to read, as the run's config reads tables.

    Args:
        source: What the user named.
        spec: The run's.
        config: The run's.
        options: Of :class:`dlrun.data.readers.Request`.
    """
    from dlrun.data.readers import Request
    from dlrun.data.tables import TableOptions

    data: Mapping[str, Any] = config.data
    size = config.batch_size
    return Request(
        source,
        spec,
        rows=size * max(1, 1024 // size),  # whole batches
        format=data.get("format"),
        table=TableOptions(
            data.get("delimiter"),
            str(data.get("decimal", ".")),
            tuple(map(str, data.get("missing") or ())),
        ),
        **options,
    )


def read_own_data(source: Path, run: RunDir, overrides: Sequence[str], config: Config) -> OwnData:
    """All samples of a file and their labels, encoded as the run's were.

    Args:
        source: What the user named.
        run: The run.
        overrides: As typed.
        config: The run's config, with the overrides applied.

    Raises:
        DlrunError: If the file is not what the run takes, a label is unknown, or the run does not
            know what its labels mean.
    """
    import numpy as np

    from dlrun.data.dataset import Dataset, Split
    from dlrun.data.readers import open_reader
    from dlrun.data.tree import concatenate

    spec = read_input_spec(run, overrides)
    if spec is None or spec.targets is None:
        raise DlrunError(
            f"--data {source}: the run was not trained on a source that says what its labels mean",
            hint="dlrun evaluate RUN data.path=FILE, or another override of its data",
        )
    weight = config.data.get("weight")
    reader = open_reader(
        make_request(source, spec, config, key="--data", labels=True, weight=weight)
    )
    inputs: list[Arrays] = []
    labels: list[Arrays] = []
    weights: list[np.ndarray] = []
    for part in reader.parts():
        for place, why in part.wrong.items():
            raise DlrunError(
                f"{part.source}: row {part.rows[place]:,}: {why}",
                hint="correct it, or remove the row",
            )
        assert part.labels is not None
        inputs.append(part.inputs)
        labels.append(part.labels)
        if part.weights is not None:
            weights.append(part.weights)
    each: Arrays | None = np.concatenate(weights) if weights else None
    if isinstance(each, np.ndarray) and isinstance(spec.targets, Mapping):
        each = dict.fromkeys(spec.targets, each)
    samples = Split(concatenate(inputs), concatenate(labels), each)
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
    return OwnData(dataset, notes)

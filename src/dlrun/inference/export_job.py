"""The parts of an export that need a backend: predictions to compare with, and writing the file.

``python -m dlrun.inference.export_job JOB`` does one in a process of its own, as a process can
start one backend only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun.config.project import Project
from dlrun.errors import DlrunError, describe
from dlrun.inference.loaded_run import (
    LoadedRun,
    load_run,
    open_run,
    read_input_spec,
    read_saved_spec,
)
from dlrun.system.child_job import answer_job

if TYPE_CHECKING:  # the parent process imports this module to describe a job
    import numpy as np

    from dlrun.exports.content import Content

log = logging.getLogger("dlrun")

# What of a run's record a file carries.
RECORD = (
    "name", "model", "data", "task", "backend", "seed", "started", "epochs", "parameters",
    "validation", "test", "data_fingerprint", "class_weight", "input_shape", "versions", "git",
)  # fmt: skip
PRECISION = ("precision=float32", "matmul_precision=highest", "device=cpu")
CALIBRATION = 256  # samples


class Job(NamedTuple):
    """What to export, as JSON holds it.

    Args:
        run: The run's directory.
        overrides: As typed, and the backend.
        which: The checkpoint.
        project: From :meth:`dlrun.config.project.Project.to_json`.
        format: The format's name.
        quantize: The kind to write; None for float32.
        part: ``reference`` or ``write``.
        folder: Where the files are.
        path: The file to write.
        samples: How many of the test split to compare.
        calibrate: Whether samples of the training split are needed.
        license: Of the weights; None if unknown.
    """

    run: str
    overrides: list[str]
    which: str
    project: dict[str, Any]
    format: str
    quantize: str | None
    part: str
    folder: str
    path: str
    samples: int
    calibrate: bool
    license: str | None = None


def do(job: Job) -> dict[str, Any]:
    """Do the job in this process.

    Returns:
        What is to know of it, in JSON types.

    Raises:
        DlrunError: If it can't be done.
    """
    return {"reference": reference, "write": write}[job.part](job)


def reference(job: Job) -> dict[str, Any]:
    """Write samples, and what the run predicts for them on its backend.

    Samples of the test split are in ``samples.npz``, those of the training split, if asked for, in
    ``calibration.npz``, and predictions in ``reference.npz``, all as the file has them.
    """
    from dlrun.data.tree import leaves
    from dlrun.exports import formats
    from dlrun.exports.random_samples import random_samples

    folder = Path(job.folder)
    loaded, data, note = _load_with_data(job)
    content = _content(job, loaded)
    if data is None:
        samples = random_samples(content, job.samples)
        stored = _as_stored(content, samples)
    else:
        stored = data.split("test")[: job.samples].inputs
        samples = content.convert(_arrays(stored))
    if job.calibrate:
        _save(folder / "calibration.npz", _calibration(content, data, note))
    if formats.module(job.format).NEEDS_GRAPH:
        outputs = _predictions(loaded, content, stored)
    else:
        outputs = _checkpoint_weights(loaded)
    _save(folder / "samples.npz", samples)
    _save(folder / "reference.npz", outputs)
    return {
        "note": note,
        "samples": len(leaves(stored)[0]),
        "backend": loaded.config.backend.name,
        "outputs": [dict(one) for one in content.outputs],
    }


def _load_with_data(job: Job) -> tuple[LoadedRun, Any, str | None]:
    """The run and its data set; if that can't be read, None and a note that says so."""
    try:
        return *_load(job, needs_data=True), None
    except DlrunError as error:
        if error.exit_code != 2 or _load_spec(job) is None:
            raise
        note = f"the data can't be read ({error.message}): compared on samples drawn at random"
    return *_load(job, needs_data=False), note


def _calibration(content: Content, data: Any, note: str | None) -> dict[str, np.ndarray]:
    """Samples of the training split, by input, ``(samples, ...)``.

    Raises:
        DlrunError: If there is no data set.
    """
    import numpy as np

    if data is None:
        raise DlrunError(
            f"--quantize int8 needs samples of the training split, but {note}",
            hint="--quantize float16 needs none",
        )
    rows = np.random.default_rng(0).permutation(len(data.train))[:CALIBRATION]
    inputs = content.convert(data.train.inputs)
    return {name: array[np.sort(rows)] for name, array in inputs.items()}


def _predictions(loaded: LoadedRun, content: Content, stored: Any) -> dict[str, np.ndarray]:
    """What the run predicts, by output, ``(samples, ...)``.

    Args:
        loaded: The run.
        content: Names its outputs.
        stored: The samples' inputs, as the data set has them.
    """
    import numpy as np

    from dlrun.inference.prediction import predict_batches

    batches = list(predict_batches(loaded.model, loaded.config, loaded.spec, stored))
    return {
        one["name"]: np.concatenate(
            [batch[one["name"]] if isinstance(batch, Mapping) else batch for batch in batches]
        )
        for one in content.outputs
    }


def _checkpoint_weights(loaded: LoadedRun) -> dict[str, Any]:
    """The weights in a run's checkpoint, by the paths that they have in the model."""
    from dlrun.checkpoints.format import read_checkpoint
    from dlrun.checkpoints.store import Position, checkpoint_path

    path = checkpoint_path(loaded.run.checkpoints, Position(loaded.epoch))
    saved = read_checkpoint(path, history=False)
    pairs = zip(loaded.model.variables, saved.model, strict=True)
    values = {id(variable): one.value for variable, one in pairs}
    return {weight.path: values[id(weight)] for weight in loaded.model.weights}


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    from dlrun.system.arrays import write_npz

    with path.open("wb") as file:
        write_npz(file, arrays)


def write(job: Job) -> dict[str, Any]:
    """Write the file on the backend that is started."""
    import numpy as np

    from dlrun.exports import formats

    module, loaded = formats.module(job.format), _load(job, needs_data=False)[0]
    from dlrun.assembly.export_graph import export_graph  # imports Keras

    content = _content(job, loaded)
    calibration = None
    if job.quantize == "int8":
        with np.load(Path(job.folder, "calibration.npz"), allow_pickle=False) as arrays:
            calibration = dict(arrays)
    model = loaded.model
    try:
        if module.NEEDS_GRAPH:
            model = export_graph(model, loaded.config, content)
        module.write(model, content, Path(job.path), calibration)
    except DlrunError:
        raise
    except Exception as error:  # each writer has its own
        log.debug("export failed", exc_info=True)
        raise DlrunError(
            f"model={loaded.config.choices.get('model')} can't be written as {job.format}:"
            f" {describe(error)}",
            hint=f"another format: {', '.join(n for n in formats.names() if n != job.format)}",
            exit_code=1,
        ) from error
    return {"content": content.to_json()}


def _load(job: Job, *, needs_data: bool) -> tuple[LoadedRun, Any]:
    """The run, and its data set if samples are needed."""
    opened, config = open_run(
        job.run,
        job.overrides,
        runs_dir=Path("runs"),
        project=Project.from_json(job.project),
        needs_data=needs_data,
    )
    spec = None if needs_data else read_input_spec(opened, job.overrides)
    loaded = load_run(opened, config, job.which, compiled=False, spec=spec)
    return loaded, loaded.dataset


def _load_spec(job: Job) -> Any:
    from dlrun.runs.locate import find_run

    return read_saved_spec(find_run(job.run, Path("runs")))


def _content(job: Job, loaded: LoadedRun) -> Content:
    from dlrun.assembly.export_graph import describe_outputs, limits_of_ids
    from dlrun.exports.content import Content

    record = loaded.run.record
    return Content(
        format=job.format,
        spec=loaded.spec,
        epoch=loaded.epoch,
        config=asdict(loaded.config),
        record={key: record[key] for key in RECORD if record.get(key) is not None},
        outputs=describe_outputs(loaded.model, loaded.config, loaded.spec),
        quantize=job.quantize,
        license=job.license,
        below=limits_of_ids(loaded.model, loaded.spec),
    )


def _arrays(stored: Any) -> Any:
    import numpy as np

    from dlrun.data.tree import tree_map

    return tree_map(np.asarray, stored)


def _as_stored(content: Any, samples: Mapping[str, Any]) -> Any:
    """Samples as the file takes them, as the data set would have them."""
    from dlrun.exports.content import INPUT

    def one(entry: Any) -> Any:
        array = samples[entry.name]
        return array if entry.statistics is None else entry.statistics.standardize(array)

    found = {entry.name: one(entry) for entry in content.inputs}
    return found if isinstance(content.spec.inputs, Mapping) else found[INPUT]


if __name__ == "__main__":
    answer_job(lambda job: do(Job(**job)))

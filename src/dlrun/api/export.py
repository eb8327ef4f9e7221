"""``dlrun export``: a run's model as a file for another runtime, and the proof that it agrees."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.project import HERE, Project
from dlrun.errors import DlrunError
from dlrun.exports import formats
from dlrun.exports.content import FILE, Content
from dlrun.inference.chosen_epoch import resolve_epoch
from dlrun.inference.export_job import PRECISION, Job, do
from dlrun.inference.export_request import (
    check_request,
    find_writer,
    output_path,
    refuse_large_targets,
)
from dlrun.inference.exported_file import ExportedRun
from dlrun.inference.loaded_run import open_run
from dlrun.remote.places import require_output
from dlrun.system.child_job import ChildJob
from dlrun.system.files import FULL, is_dir, write_text
from dlrun.system.override_text import split_override

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.exports.formats._protocols import Format
    from dlrun.runs.directory import RunDir


def export(
    run: str,
    overrides: Sequence[str] = (),
    *,
    format: str = "onnx",
    output: Path | None = None,
    quantize: str | None = None,
    which: str = "best",
    tolerance: float | None = None,
    samples: int = 1024,
    license: str | None = None,
    runs_dir: Path = Path("runs"),
    project: Project = HERE,
) -> dict[str, Any]:
    """Write a run's model in a format, and compare the file with the run in its own runtime.

    The run may be of any backend: it is rebuilt on the one that writes the format best, in a
    process of its own. The file appears under its name only if it agrees with the run.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config: its data; the backend to compare with.
        format: A module of :mod:`dlrun.exports.formats`.
        output: The file, or the directory of a format that is one; by default in the run's
            ``exports``.
        quantize: ``int8`` or ``float16``; None for float32.
        which: ``best``, ``last`` or the number of an epoch.
        tolerance: Of the largest difference; None for that of the precision.
        samples: How many samples of the test split to compare.
        license: What the model card says of it.
        runs_dir: Where to look for ``latest``.
        project: The user's own options, and what is trusted.

    Returns:
        The result, as ``dlrun export --json`` prints it; ``passed`` is false if the file differs
        beyond the tolerance, and was not kept.

    Raises:
        DlrunError: If the model can't be written in this format, or the run can't be loaded.
    """
    module = formats.module(format)
    formats.require(format)
    check_request(format, module, overrides, quantize)
    opened, config = _open_writable(run, overrides, runs_dir, project)
    resolve_epoch(opened, which)  # before a folder is made and a process is started
    if quantize == "float16":
        refuse_large_targets(opened, module)
    writer = find_writer(format, config)
    require_output(output, opened.path, f"model{module.SUFFIX}")
    path = output_path(opened, format, module.SUFFIX, output, quantize)
    with (
        _room_for(path, own=output is None),
        tempfile.TemporaryDirectory(prefix=".export.", dir=path.parent) as name,
    ):
        folder = Path(name)
        job = Job(
            run=str(opened.path.resolve()),
            overrides=[*overrides, *PRECISION],
            which=which,
            project=project.to_json(),
            format=format,
            quantize=None,
            part="reference",
            folder=str(folder.resolve()),
            path="",
            samples=max(samples, 1),
            calibrate=quantize == "int8",
            license=license,
        )
        reference, content, files = _write(job, writer, config.backend.name, module, path, quantize)
        rows = _check(files, content, folder, tolerance, config.backend.name)
        if quantize is not None and reference["note"] is None:
            rows = _with_metrics(rows, files, overrides, project)
        result = _result(str(opened.path), writer, reference, content, rows, path)
        if result["passed"]:
            _keep(files[quantize or "float32"], path, content, result, own=output is None)
    return result


@contextmanager
def _room_for(path: Path, *, own: bool) -> Iterator[None]:
    """Report a full disk; of the run's own folders, leave none that is empty."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DlrunError(
            f"can't write {path}: {error.strerror}",
            hint="make room, or choose another place: --output PATH",
            exit_code=1,
        ) from error
    finally:
        if own:
            with suppress(OSError):
                path.parent.rmdir()
                path.parent.parent.rmdir()


def _open_writable(
    run: str, overrides: Sequence[str], runs_dir: Path, project: Project
) -> tuple[RunDir, Config]:
    """Open a run whose model can be written in another format.

    Raises:
        DlrunError: If it can't be loaded, or is itself an exported file.
    """
    opened, config = open_run(run, overrides, runs_dir=runs_dir, project=project, needs_data=False)
    if isinstance(opened, ExportedRun):
        raise DlrunError(
            f"{run} is an exported file: its graph can't be written in another format",
            hint="export the run that it is from",
        )
    return opened, config


def _write(
    job: Job, writer: str, backend: str, module: Format, path: Path, quantize: str | None
) -> tuple[dict[str, Any], Content, dict[str, Path]]:
    """Compute what to compare with, and write the files: the float32 one, and the quantized one."""
    folder = Path(job.folder)
    kinds = [None] if quantize is None else [None, quantize]
    files = {kind or "float32": folder / f"{kind or 'float32'}{module.SUFFIX}" for kind in kinds}
    overrides = [o for o in job.overrides if split_override(o)[0] != "backend"]
    writes = [
        job._replace(
            part="write",
            path=str(files[kind or "float32"]),
            quantize=kind,
            overrides=[*overrides, f"backend={writer}"],
        )
        for kind in kinds
    ]
    with ExitStack() as stack:

        def start(one: Job, name: str) -> ChildJob:
            child = ChildJob("dlrun.inference.export_job", one._asdict(), folder=folder, name=name)
            return stack.enter_context(child)

        # In processes of their own that run beside this one, unless this one can do them.
        first = None if _is_here(writer) and writer == backend else start(writes[0], "write-0")
        reference = do(job) if _is_here(backend) else start(job, "reference").wait()
        answers = []
        for number, one in enumerate(writes):
            if number == 0 and first is not None:
                answers.append(first.wait())
            elif _is_here(writer):
                answers.append(do(one))
            else:
                answers.append(start(one, f"write-{number}").wait())
    return reference, Content.from_json(answers[-1]["content"], source=str(path)), files


def _check(
    files: Mapping[str, Path], content: Content, folder: Path, tolerance: float | None, backend: str
) -> list[dict[str, Any]]:
    """Compare each file with the run, in the format's own runtime."""
    from dlrun.inference.export_check import check_file

    # GPUs may round products to TF32, and the run was computed on the CPU.
    environment = {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return [
        row
        for kind, file in files.items()
        for row in check_file(file, kind, content, folder, tolerance, environment)
    ]


def _with_metrics(
    rows: Sequence[dict[str, Any]],
    files: Mapping[str, Path],
    overrides: Sequence[str],
    project: Project,
) -> list[dict[str, Any]]:
    """The rows, each with what its file scores on the test split."""
    from dlrun.inference.export_check import evaluate_file

    metrics = {kind: evaluate_file(file, overrides, project) for kind, file in files.items()}
    return [row | {"metrics": metrics[row["precision"]]} for row in rows]


def _result(
    run_dir: str,
    writer: str,
    reference: Mapping[str, Any],
    content: Content,
    rows: Sequence[Mapping[str, Any]],
    path: Path,
) -> dict[str, Any]:
    """What ``dlrun export --json`` prints, but for the files that lie beside the output.

    Args:
        run_dir: As the user named it.
        writer: The backend that has written the files.
        reference: What :func:`dlrun.inference.export_job.reference` returned.
        content: Of the last of the files.
        rows: One for each comparison.
        path: Where the file goes if all have passed.
    """
    module = formats.module(content.format)
    passed = all(row["passed"] for row in rows)
    return {
        "run_dir": run_dir,
        "epoch": content.epoch,
        "format": content.format,
        "quantize": content.quantize,
        "runtime": module.RUNTIME,
        "written_by": writer,
        "compared_with": f"backend={reference['backend']}",
        "samples": reference["samples"],
        "inputs": [_brief(one) for one in json.loads(content.to_json())["inputs"]],
        "outputs": [_brief(one) for one in content.outputs],
        "notes": [note for note in (reference["note"], module.NOTE) if note],
        "checks": list(rows),
        "passed": passed,
        "output": str(path) if passed else None,
    }


def _is_here(backend: str) -> bool:
    """Whether this process can compute on a backend: it has started it, or none."""
    keras = sys.modules.get("keras")
    return keras is None or keras.backend.backend() == backend


def _brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An input or an output without what may be long."""
    return {key: value for key, value in entry.items() if key not in ("classes", "columns")}


def _keep(file: Path, path: Path, content: Content, result: dict[str, Any], *, own: bool) -> None:
    """Give the file its name, with its companions, and write what says what it is."""
    from dlrun.report.model_card import model_card

    text = content.to_json()
    card = path.parent / "README.md" if own else path.with_name(f"{path.name}.README.md")
    description = path.with_name(f"{path.name}.json")
    if is_dir(file):
        card, description = path / "README.md", path / FILE
        shutil.rmtree(path, ignore_errors=True)
    for companion in formats.companions(file):
        companion.replace(path.with_suffix(companion.suffix))
    file.replace(path)
    write_text(description, text)
    result |= {"content": str(description), "card": str(card)}
    write_text(card, model_card(content, result))

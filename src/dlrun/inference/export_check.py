"""Check an exported file in a process that holds its runtime alone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.config.project import Project
from dlrun.errors import DlrunError
from dlrun.exports import formats
from dlrun.exports.agreement import LEAST_AGREEMENT, TOLERANCES, agreement, passes
from dlrun.exports.content import Content
from dlrun.system.child import how_ended, python_command
from dlrun.system.child_job import ChildJob


def check_file(
    path: Path,
    kind: str,
    content: Content,
    folder: Path,
    tolerance: float | None,
    environment: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """Yield how far a file is from the run, for each precision that its runtime computes in.

    Args:
        path: The file.
        kind: ``float32``, or what it was quantized to.
        content: Of the file.
        folder: Has ``samples.npz`` and ``reference.npz``.
        tolerance: As for :func:`dlrun.api.export.export`.
        environment: Variables for the runtime's process.

    Raises:
        DlrunError: If the runtime can't run the file.
    """
    module = formats.module(content.format)
    size = sum(file.stat().st_size for file in _files(path))
    with np.load(folder / "reference.npz", allow_pickle=False) as arrays:
        reference = dict(arrays)
    for mode in module.MODES:
        # A mode of a quantized file is named by what it was quantized to.
        precision = mode if kind == "float32" else kind
        outputs = folder / f"outputs-{kind}-{mode}.npz"
        job = {
            "path": str(path),
            "samples": str(folder / "samples.npz"),
            "outputs": str(outputs),
            "mode": mode,
        }
        name = f"measure-{kind}-{mode}"
        with ChildJob(
            "dlrun.exports.measure", job, folder=folder, name=name, environment=environment
        ) as child:
            try:
                answer = child.wait()
            except DlrunError as error:
                raise DlrunError(
                    f"{module.RUNTIME} can't run the exported model: {error.message}",
                    hint="nothing was written; choose another format",
                    exit_code=1,
                ) from error
        with np.load(outputs, allow_pickle=False) as arrays:
            computed = dict(arrays)
        described = content.outputs if module.NEEDS_GRAPH else [{"name": n} for n in reference]
        found = agreement(reference, computed, described)
        limit = TOLERANCES[precision] if module.NEEDS_GRAPH else 0.0
        limit = limit if tolerance is None else tolerance
        yield {
            "precision": kind,
            "mode": mode,
            **found,
            "tolerance": limit,
            "passed": passes(found, limit, LEAST_AGREEMENT[precision]),
            "milliseconds": answer["milliseconds"],
            "bytes": size,
        }


def evaluate_file(path: Path, overrides: Sequence[str], project: Project) -> dict[str, float]:
    """The metrics of a file on the whole test split, as ``dlrun evaluate FILE`` prints them.

    Raises:
        DlrunError: If it can't be evaluated.
    """
    of_data = [o for o in overrides if not o.startswith(("backend=", "backend."))]
    words = [str(path), *of_data, *project.to_words(), "--json", "-q"]
    command = python_command("dlrun", "evaluate", *words)
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ},
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise DlrunError(
            f"{path.name} can't be evaluated: {how_ended(done.returncode, done.stderr)}",
            exit_code=1,
        )
    metrics: dict[str, float] = json.loads(done.stdout)["metrics"]
    return metrics


def _files(path: Path) -> list[Path]:
    """A file with its companions, or all files of a directory."""
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    return [path, *formats.companions(path)]

"""``dlrun reproduce``: run the experiments of the books, and tabulate their numbers."""

from __future__ import annotations

import json
import logging
import math
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun import __version__, backends
from dlrun.config.compose import compose
from dlrun.config.options import list_options
from dlrun.config.project import HERE, Project
from dlrun.config.schema import Reproduces
from dlrun.errors import DlrunError, did_you_mean
from dlrun.remote.places import refuse_remote
from dlrun.report.cells import figure
from dlrun.report.reproduction import markdown
from dlrun.runs.directory import RECORD
from dlrun.system.child import how_ended, python_command
from dlrun.system.files import check_writable, read_json, write_text

log = logging.getLogger("dlrun")


@dataclass
class Cell:
    """One run: an experiment on a backend, in a training mode."""

    experiment: str
    claim: Reproduces
    backend: str
    loop: str
    result: dict[str, Any] | None = None
    error: str | None = None

    @property
    def value(self) -> float | None:
        """The number to compare with the published one; None without a result."""
        if self.result is None:
            return None
        split, _, metric = self.claim.metric.partition(".")
        value: float | None = self.result[split].get(metric)
        return value

    @property
    def reached(self) -> bool:
        """Whether the number is within the limits."""
        value, least, most = self.value, self.claim.least, self.claim.most
        if value is None or not math.isfinite(value):
            return False
        return (least is None or value >= least) and (most is None or value <= most)


def reproduce(
    experiments: Sequence[str] = (),
    *,
    chosen: Sequence[str] = (),
    slow: bool = False,
    output: Path = Path("RESULTS.md"),
    runs_dir: Path = Path("runs"),
    project: Project = HERE,
) -> dict[str, Any]:
    """Run experiments one after another, each in a new process, and write the table.

    Completed runs of this version of dlrun in ``runs_dir`` are reused.

    Args:
        experiments: Names; empty for all that are not slow.
        chosen: Backends; empty for all that are installed and can train.
        slow: Also run those that take more than a few minutes on a CPU.
        output: Where to write the table, as Markdown.
        runs_dir: The runs are written to its ``reproduce/``.
        project: The user's own options, and what is trusted.

    Returns:
        The cells of the table, and how many missed their limits.

    Raises:
        DlrunError: If an experiment or a backend is missing, or the table can't be written.
    """
    refuse_remote(runs_dir, "'dlrun reproduce'")
    claims = _claims(experiments, slow, project)
    usable = [name for name in backends.installed_backends() if backends.module(name).TRAINS]
    for name in chosen:
        backends.require(name, training=True)
    check_writable(output, "--output", name="RESULTS.md")
    cells = list(_cells(claims, chosen or usable))
    done = _CompletedRuns(runs_dir / "reproduce")
    for number, cell in enumerate(cells, 1):
        _run(cell, done, project.to_words())
        shown = cell.error or f"{cell.claim.metric} {figure(cell.value) or 'is not finite'}"
        log.info(
            "%d/%d  %s  %s  %s  %s", number, len(cells), cell.experiment, cell.backend, cell.loop,
            shown,
        )  # fmt: skip
    try:
        write_text(output, markdown(cells))
    except OSError as error:
        raise DlrunError(f"can't write {output}: {error.strerror}", exit_code=1) from error
    return {
        "output": str(output),
        "runs": [
            {
                "experiment": cell.experiment,
                "backend": cell.backend,
                "loop": cell.loop,
                "metric": cell.claim.metric,
                "value": cell.value,
                "reached": cell.reached,
                "error": cell.error,
                "run_dir": cell.result["run_dir"] if cell.result else None,
            }
            for cell in cells
        ],
        "not_reached": sum(not cell.reached for cell in cells),
    }


class _CompletedRuns:
    """The completed runs, by experiment, backend and loop."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._runs: dict[tuple[str, str, str], dict[str, Any]] = {}
        for path in sorted(directory.glob(f"*/*/{RECORD}")):
            try:
                record = read_json(path)
                current = record["versions"]["dlrun"] == __version__
                if current and record["status"] == "completed":
                    self.add(path.parent.parent.name, {**record, "run_dir": str(path.parent)})
            except (OSError, ValueError, LookupError, TypeError):  # not a record of dlrun
                continue

    def add(self, experiment: str, result: dict[str, Any]) -> None:
        self._runs[experiment, result["backend"], result["loop"]] = result

    def get(self, experiment: str, backend: str, loop: str | None) -> dict[str, Any] | None:
        """The result of a run; if ``loop`` is None, of a run with any loop."""
        for key, result in self._runs.items():
            if key[:2] == (experiment, backend) and loop in (None, key[2]):
                return result
        return None


def _claims(names: Sequence[str], slow: bool, project: Project) -> dict[str, Reproduces]:
    known = list(list_options(project.config_dir)["experiment"])
    for name in names:
        if name not in known:
            raise DlrunError(
                f"no experiment '{name}'; there are {', '.join(known)}",
                hint=did_you_mean(name, known),
            )
    claims = {}
    for name in names or known:
        claim = compose([f"experiment={name}"], project=project).reproduces
        if claim is not None and (slow or names or not claim.slow):
            claims[name] = claim
        elif names:
            raise DlrunError(f"experiment '{name}' has no 'reproduces' to compare with")
    # An experiment comes after the one whose run it starts from.
    return dict(sorted(claims.items(), key=lambda item: (item[1].needs is not None, item[0])))


def _cells(claims: dict[str, Reproduces], chosen: Sequence[str]) -> Iterator[Cell]:
    for experiment, claim in claims.items():
        for backend in chosen:
            for loop in [*claim.loops, *claim.native_loops.get(backend, [])]:
                yield Cell(experiment, claim, backend, loop)


def _run(cell: Cell, done: _CompletedRuns, options: Sequence[str]) -> None:
    cell.result = done.get(cell.experiment, cell.backend, cell.loop)
    if cell.result is not None:
        return
    overrides = [
        f"experiment={cell.experiment}",
        f"backend={cell.backend}",
        f"loop={cell.loop}",
        f"runs_dir={done.directory}",
    ]
    if cell.claim.needs is not None:
        start = done.get(cell.claim.needs, cell.backend, None)
        if start is None:
            cell.error = f"needs a run of {cell.claim.needs}"
            return
        overrides.append(f"init_from={start['run_dir']}")
    # A process can start only one backend.
    command = python_command("dlrun", "train", *overrides, *options, "--quiet", "--json")
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        cell.error = how_ended(process.returncode, process.stderr)
        return
    cell.result = json.loads(process.stdout)
    done.add(cell.experiment, cell.result)

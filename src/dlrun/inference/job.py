"""One evaluation: a checkpoint of a run on a backend and a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.project import Project
from dlrun.inference.loaded_run import load_run, open_run
from dlrun.inference.recorded_weights import weigh_as_recorded

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.config.schema import Config
    from dlrun.evaluation.figures import Figures
    from dlrun.evaluation.outcome import Outcome
    from dlrun.runs.directory import RunDir


@dataclass(frozen=True)
class Job:
    """What to evaluate; the arguments are those of :func:`dlrun.api.evaluate.evaluate`.

    Equal jobs are the same evaluation.
    """

    run: str
    overrides: tuple[str, ...]
    which: str
    split: str
    data: Path | None
    runs_dir: Path
    project: Project
    on_error: str = "fail"

    def open(self) -> tuple[RunDir, Config]:
        """The run and its config; no framework is imported.

        Raises:
            DlrunError: As :func:`dlrun.inference.loaded_run.open_run`.
        """
        return open_run(
            self.run,
            self.overrides,
            runs_dir=self.runs_dir,
            project=self.project,
            needs_data=self.data is None,
        )


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        result: As ``dlrun evaluate --json`` prints it, without the figures.
        figures: By output, ``""`` for a single one.
        outcomes: What they were made from.
        logged: The names of loss and metrics.
    """

    result: dict[str, Any]
    figures: Mapping[str, Figures]
    outcomes: Mapping[str, Outcome]
    logged: Sequence[str]


def evaluate_job(job: Job, opened: RunDir, config: Config) -> Evaluation:
    """Evaluate a run; starts its backend in this process.

    Args:
        job: What to evaluate.
        opened: From :meth:`Job.open`, like ``config``.
        config: See there.

    Raises:
        DlrunError: If the checkpoint or the data are unusable.
    """
    from dlrun.evaluation.figures import figures_of
    from dlrun.inference.evaluation import evaluate_outputs
    from dlrun.inference.own_data import read_own_data

    own, skip = None, job.on_error == "skip"
    if job.data is not None:
        own = read_own_data(job.data, opened, job.overrides, config, skip=skip)
    spec = own.dataset.spec if own else None
    loaded = load_run(opened, config, job.which, compiled=True, spec=spec)
    if own:
        matched, source = own.dataset.match(loaded.model), f"--data {job.data}"
        dataset, notes = weigh_as_recorded(loaded.model, matched, config, opened, source)
    else:
        dataset = loaded.data
    found = evaluate_outputs(loaded.model, config, dataset, job.split, loaded.feed)
    result = {
        "run_dir": str(opened.path),
        "checkpoint": loaded.checkpoint(job.which),
        "epoch": loaded.epoch,
        "backend": loaded.computed_by,
        "split": str(job.data) if job.data else job.split,
        "samples": len(dataset.split(job.split)),
        "metrics": found.metrics,
    }
    if own:
        result["notes"] = [*own.notes, *notes]
        result |= {"skipped": own.skipped} if skip else {}
    if found.reasons:
        named = {name or "output": why for name, why in found.reasons.items()}
        result["left_out"] = named
    ids = dataset.split(job.split).ids
    figures = {name: figures_of(outcome, ids) for name, outcome in found.outcomes.items()}
    return Evaluation(result, figures, found.outcomes, loaded.logged)

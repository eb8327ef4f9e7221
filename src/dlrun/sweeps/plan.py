"""Compose the jobs of a sweep: their overrides, directories and process keys."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dlrun.api.finished_run import CompletedRuns
from dlrun.api.gates import directions
from dlrun.assembly.require import require, require_lanes
from dlrun.config.compose import compose
from dlrun.config.project import HERE, Project
from dlrun.config.schema import Config
from dlrun.config.sweeps.compose_many import Composer
from dlrun.config.sweeps.expand import expand
from dlrun.config.sweeps.pairs import PairedRows
from dlrun.errors import DlrunError, shorten
from dlrun.runs.directory import RECORD, plan_run_path
from dlrun.runs.result import FIELDS
from dlrun.sweeps.jobs import Job, Plan
from dlrun.system.files import read_json
from dlrun.system.override_text import split_override
from dlrun.training.initial_weights import as_override, find_initial_run
from dlrun.workers.key import ProcessKey

log = logging.getLogger("dlrun")


def plan(
    overrides: Sequence[str],
    *,
    runs_dir: Path | None = None,
    project: Project = HERE,
    needed: bool = False,
    listed: PairedRows | None = None,
    vectorize: bool = False,
) -> Plan:
    """Compose every run, so that nothing starts if one of them is wrong.

    A run that equals an earlier one is left out.

    Args:
        overrides: In Hydra's grammar, which allows several values.
        runs_dir: The sweep is written to its ``sweeps/``; None for ``runs_dir`` of the config.
        project: The user's own options, and what is trusted.
        needed: Take the results of equal runs that have completed.
        listed: The overrides of each run from a file.
        vectorize: As for :func:`compose_run`.

    Raises:
        DlrunError: With the mistakes of the first run that has any.
    """
    keys, runs = expand(overrides, project=project, listed=listed)
    compose_each = Composer(partial(compose_run, project=project, vectorize=vectorize))
    configs = list(map(compose_each, runs))
    runs, configs = _once_each(runs, configs, keys)
    first = configs[0]
    directory = new_directory(runs_dir, first, keys)
    jobs = []
    for number, (typed, config) in enumerate(zip(runs, configs, strict=True)):
        typed.extend(as_override(config))
        path, differs = directory / _folder(number, len(runs)), _differs(typed, keys)
        jobs.append(Job(number, typed, differs, ProcessKey.of(config), path, config.planned_epochs))
    if needed:
        _reuse(jobs, configs, directory.parent.parent, project.config_dir)
    metrics = directions(first.task)
    return Plan(directory, keys, jobs, first.task.monitor, first.task.mode, metrics)


def _once_each(
    runs: Sequence[list[str]], configs: Sequence[Config], keys: Sequence[str]
) -> tuple[list[list[str]], list[Config]]:
    """Leave out what equals an earlier run, as of ``seed=1,1``: it would have the same numbers.

    Args:
        runs: The overrides of each run.
        configs: The config of each run.
        keys: The keys that differ between the runs.
    """
    texts: dict[int, str] = {}  # of the parts, by id: most are shared by many configs
    first: dict[tuple[str, ...], int] = {}
    for index, config in enumerate(configs):
        parts = vars(config).values()
        for part in parts:
            if id(part) not in texts:
                texts[id(part)] = repr(part)
        first.setdefault(tuple(texts[id(part)] for part in parts), index)
    kept = list(first.values())
    if again := sorted(set(range(len(runs))) - set(kept)):
        values = _differs(runs[again[0]], keys).items()
        shown = shorten(" ".join(f"{key}={value}" for key, value in values) or f"run {again[0]}")
        counts = len(again), len(runs)
        log.warning("left out: %d of %d runs, equal to an earlier one; first %s", *counts, shown)
    return [runs[index] for index in kept], [configs[index] for index in kept]


def _reuse(
    jobs: Sequence[Job], configs: Sequence[Config], folder: Path, config_dir: Path | None
) -> None:
    """Take the results of equal runs in a folder."""
    done = CompletedRuns(folder, config_dir)
    for job, config in zip(jobs, configs, strict=True):
        if (found := done.equal(config)) is not None:
            job.state, job.result, job.reused = "completed", found.to_dict(), Path(found.run_dir)


def new_directory(runs_dir: Path | None, config: Config, keys: Sequence[str]) -> Path:
    """Choose the directory of a new sweep; it is not created.

    Args:
        runs_dir: The directory lies in its ``sweeps/``; None for ``runs_dir`` of the config.
        config: The config of a run.
        keys: The keys that differ between the runs.

    Raises:
        DlrunError: If ``runs_dir`` differs between the runs.
    """
    if "runs_dir" in keys:
        raise DlrunError("runs_dir: expected one value, as a sweep lies in one directory")
    return plan_run_path(runs_dir or Path(config.runs_dir), "sweeps")


def compose_job(
    number: int,
    typed: Sequence[str],
    keys: Sequence[str],
    path: Path,
    *,
    project: Project = HERE,
    recorded: bool = False,
) -> tuple[Job, Config]:
    """Compose the job and the config of one run.

    Args:
        number: The number of the job.
        typed: Its overrides.
        keys: The keys that differ between the runs.
        path: The run directory.
        project: The user's own options, and what is trusted.
        recorded: As for :func:`dlrun.config.compose.compose`.

    Raises:
        DlrunError: As :func:`compose_run`.
    """
    config = compose_run(typed, project=project, recorded=recorded)
    job = Job(
        number,
        list(typed),
        _differs(typed, keys),
        ProcessKey.of(config),
        path,
        config.planned_epochs,
    )
    return job, config


def compose_run(
    overrides: Sequence[str],
    *,
    project: Project = HERE,
    recorded: bool = False,
    vectorize: bool = False,
) -> Config:
    """Compose and check the config of one run.

    Args:
        overrides: The run's overrides.
        project: The user's own options, and what is trusted.
        recorded: As for :func:`dlrun.config.compose.compose`.
        vectorize: Whether several runs are to train in one program.

    Raises:
        DlrunError: If it is wrong, or its backend, its feed or the run of ``init_from`` is missing,
            or its backend or loop trains one run at a time.
    """
    config = compose(overrides, project=project, recorded=recorded)
    require(config, training=True)
    if vectorize:
        require_lanes(config)
    if config.init_from is not None:
        find_initial_run(config)
    return config


def completed_record(path: Path) -> dict[str, Any] | None:
    """The record of a completed run; None if it has not completed."""
    try:
        record = read_json(path / RECORD)
    except (OSError, ValueError):
        return None
    done = isinstance(record, dict) and record.get("status") == "completed"
    return record if done else None


def result_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The result in the record of a completed run."""
    return {key: record[key] for key in FIELDS if key in record}


def _folder(number: int, runs: int) -> str:
    return f"{number:0{len(str(runs - 1))}}"


def _differs(typed: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    values = {key: value or "" for key, value in map(split_override, typed)}
    return {key: values[key] for key in keys if key in values}

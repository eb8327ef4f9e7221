"""``dlrun evaluate``: what runs' models are worth, on any backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.api.gates import OVER, UNDER, Gate, check_names, directions, parse_gate, value_of
from dlrun.config.bare_words import join_words
from dlrun.config.explain import apart
from dlrun.config.mistake import config_error
from dlrun.config.outputs import outputs_by_name
from dlrun.config.project import HERE, Project
from dlrun.data.tree import leaves_by_name
from dlrun.errors import DlrunError
from dlrun.inference.chosen_epoch import resolve_epoch
from dlrun.inference.exported_file import ExportedRun, exported_epoch
from dlrun.inference.job import Evaluation, Job, evaluate_job
from dlrun.inference.loaded_run import read_saved_spec
from dlrun.system.files import check_writable, is_dir, is_file

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.runs.directory import RunDir

BACKEND = "backend="


def evaluate(
    run: str | Sequence[str],
    overrides: Sequence[str] = (),
    *,
    which: str = "best",
    split: str | None = None,
    data: Path | None = None,
    on_error: str = "fail",
    fail_under: Sequence[str] = (),
    fail_over: Sequence[str] = (),
    bootstrap: int = 0,
    against: str | None = None,
    csv: Path | None = None,
    runs_dir: Path = Path("runs"),
    project: Project = HERE,
) -> tuple[dict[str, Any], list[str]]:
    """Evaluate checkpoints of runs, each on each backend.

    Args:
        run: A run directory, or ``latest``; or several.
        overrides: Changes to the runs' configs: backend, device, data, batch size, metrics.
            ``backend=jax,torch`` is each of them.
        which: ``best``, ``last`` or the number of an epoch; several with commas between them.
        split: ``train``, ``validation`` or ``test``; None for ``test``.
        data: A table with the run's columns and targets, folders named by class, or an ``.npz`` of
            inputs and labels, of which all samples are evaluated; the training data are not read.
        on_error: ``fail`` at a sample of ``data`` that can't be read, or ``skip`` it; others are
            evaluated.
        fail_under: Lower limits, each ``metric=value``, of metrics where larger is better; of a
            class as ``recall[cat]=0.9``.
        fail_over: Upper limits of metrics where smaller is better, such as losses.
        bootstrap: How often to draw the samples again, for intervals of the figures; 0 for none.
        against: A run to compare each with, on the same samples.
        csv: A folder to write every table to; made if it is missing.
        runs_dir: Where to look for ``latest``.
        project: The user's own options, and what is trusted.

    Returns:
        The result, as ``dlrun evaluate --json`` prints it, and a message per failed limit. Of
        several evaluations the result has the list ``evaluations``.

    Raises:
        DlrunError: If a run, an override, a limit or a checkpoint is unusable.
    """
    if data is None and on_error != "fail":
        raise DlrunError(
            f"--on-error {on_error}: is for samples of --data",
            hint="data.on_error=skip is for the images of a run's own data",
        )
    if data is not None and split is not None:
        raise DlrunError(
            f"--split {split}: all samples of --data {data} are evaluated", hint="leave out --split"
        )
    runs = [run] if isinstance(run, str) else list(run)
    backends, rest = _backends(overrides)
    options = (split or "test", data, runs_dir, project, on_error)
    jobs = [
        Job(name, (*rest, *backend), one, *options)
        for name, one, backend in product(runs, which.split(","), backends)
    ]
    if csv is not None:
        if is_file(csv):
            raise DlrunError(f"--csv {csv} is a file", hint=f"--csv {csv.with_suffix('')}")
        check_writable(csv / "metrics.csv" if is_dir(csv) else csv, "--csv", name="tables")
    rivals = {job: replace(job, run=against, which="best") for job in jobs} if against else {}
    # What others are compared with is evaluated once.
    opened = {job: job.open() for job in dict.fromkeys([*jobs, *rivals.values()])}
    gates: dict[Job, tuple[list[Gate], Mapping[str, str | None]]] = {}
    for job in jobs:
        directory, config = opened[job]
        if isinstance(directory, ExportedRun):
            exported_epoch(directory, job.which)
        elif len(jobs) > 1:
            resolve_epoch(directory, job.which)  # before the first of them is evaluated
        gates[job] = _gates(directory, config, fail_under, fail_over)
    found = _evaluate(opened)
    results, failures = [], []
    for job in jobs:
        evaluated = found[job]
        results.append(_result(evaluated, bootstrap, found[rivals[job]] if against else None))
        label = f"{_label(evaluated)}: " if len(jobs) > 1 else ""
        limits, better = gates[job]
        reasons = [gate.failure(value_of(gate, evaluated, better)) for gate in limits]
        failures += [f"{label}{why}" for why in reasons if why]
    if csv is not None:
        from dlrun.api.evaluation_files import write_csv

        write_csv(csv, [(found[job], result) for job, result in zip(jobs, results, strict=True)])
    return (results[0] if len(results) == 1 else {"evaluations": results}), failures


def _backends(overrides: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """The choice of each backend, or none, and the other overrides."""
    if spaced := {words: meant for words, meant in join_words(overrides) if meant}:
        for words, meant in spaced.items():
            if meant.startswith(BACKEND):  # which takes several values here, as no run does
                raise config_error([apart(words, meant)])
        return [[]], list(overrides)  # composing tells of the spaces
    chosen = [word for word in overrides if word.startswith(BACKEND)]
    rest = [word for word in overrides if not word.startswith(BACKEND)]
    if not chosen:
        return [[]], rest
    names = chosen[-1].removeprefix(BACKEND).split(",")
    return [[f"{BACKEND}{name}"] for name in dict.fromkeys(names)], rest


def _gates(
    run: RunDir, config: Config, under: Sequence[str], over: Sequence[str]
) -> tuple[list[Gate], Mapping[str, str | None]]:
    better = directions(config.task)
    if not under and not over:
        return [], better
    outputs = tuple(outputs_by_name(config.task) or ("",))
    gates = [parse_gate(UNDER, typed, better, outputs) for typed in under]
    gates += [parse_gate(OVER, typed, better, outputs) for typed in over]
    if any("[" in gate.metric for gate in gates):
        names = dict(_known_names(run))
        for gate in gates:
            check_names(gate, names)
    return gates, better


def _known_names(run: RunDir) -> Iterator[tuple[str, Sequence[str]]]:
    """The classes, or the numbers, of each output that a run has saved."""
    from dlrun.data.readers import targets_of  # imports NumPy

    spec = read_saved_spec(run)
    if spec is None:
        return
    targets = targets_of(spec)
    for name, count in leaves_by_name(spec.num_classes).items():
        if (target := targets.get(name)) is not None:
            yield name or "", target.classes or target.columns
        elif count > 1:
            yield name or "", [str(number) for number in range(count)]


def _evaluate(opened: Mapping[Job, tuple[RunDir, Config]]) -> dict[Job, Evaluation]:
    """Evaluate in this process if it can take all of them, else one process for each backend."""
    by_process: dict[Any, list[Job]] = {}
    for job, (_, config) in opened.items():
        by_process.setdefault(_process_of(config), []).append(job)
    if len(by_process) == 1:
        return {job: evaluate_job(job, *of_job) for job, of_job in opened.items()}
    from dlrun.inference.job_process import evaluate_in_process

    found: dict[Job, Evaluation] = {}
    for jobs in by_process.values():
        found |= zip(jobs, evaluate_in_process(jobs), strict=True)
    return found


def _process_of(config: Config) -> tuple[str, ...]:
    """What is fixed when a framework is imported."""
    precision = (config.precision, config.matmul_precision)
    return config.backend.name, str(config.device), config.spread, *precision


def _result(evaluated: Evaluation, bootstrap: int, compared: Evaluation | None) -> dict[str, Any]:
    """The result with its figures; of several outputs a mapping of each."""
    result = dict(evaluated.result)
    figures: dict[str, Any] = {}
    for name, of_output in evaluated.figures.items():
        figures[name] = of_output.to_dict()
        outcome = evaluated.outcomes[name]
        if bootstrap:
            from dlrun.evaluation.resampling import intervals

            figures[name]["intervals"] = intervals(outcome, bootstrap)
        if compared is not None:
            from dlrun.evaluation.chance import compare

            if name not in compared.outcomes:
                raise DlrunError(f"--against: {compared.result['run_dir']} has no such output")
            comparison = compare(outcome, compared.outcomes[name])
            other = compared.result["run_dir"]
            figures[name]["against"] = {"run_dir": other, **comparison.to_dict()}
    if figures:
        result["figures"] = figures.get("", figures)
    return result


def _label(evaluated: Evaluation) -> str:
    result = evaluated.result
    return f"{result['run_dir']}, epoch {result['epoch']}, {result['backend']}"

"""The objectives of a search that has several, and its Pareto front."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dlrun.api.gates import directions
from dlrun.config.limits import metric_names
from dlrun.config.schema import Config
from dlrun.errors import DlrunError, nearest
from dlrun.evaluation.pareto import pareto_front
from dlrun.sweeps.jobs import Job

# What a run records beside its metrics, and whether less of it is better.
RECORDED = {
    "parameters": "min",
    "predict_seconds": "min",
    "step_seconds": "min",
    "train_seconds": "min",
    "evaluate_seconds": "min",
    "total_seconds": "min",
    "examples_per_second": "max",
    "peak_memory_bytes": "min",
}
# What they are often called.
MEANT = {
    "latency": "predict_seconds",
    "inference_time": "predict_seconds",
    "size": "parameters",
    "model_size": "parameters",
    "num_params": "parameters",
    "speed": "examples_per_second",
    "throughput": "examples_per_second",
    "memory": "peak_memory_bytes",
    "time": "train_seconds",
}
OPTION = "--objectives"
LATENCY = "predict_seconds"


@dataclass(frozen=True)
class Objective:
    """One objective.

    Args:
        name: A value that an epoch logs, as ``val_accuracy``, or one of :data:`RECORDED`.
        mode: ``min`` or ``max``.
    """

    name: str
    mode: str

    def value(self, job: Job) -> float | None:
        """Its value for a run, at the best epoch; None if there is none, or it is not finite."""
        result = job.result
        if self.name not in RECORDED:
            value = job.value(self.name)
        elif self.name in result:
            value = result[self.name]
        else:
            value = result.get("seconds", {}).get(self.name.removesuffix("_seconds"))
        return float(value) if value is not None and math.isfinite(value) else None


def parse_objectives(typed: str, config: Config) -> list[Objective]:
    """Parse the value of ``--objectives``, as ``val_accuracy,parameters`` or ``val_f1:max,...``.

    Raises:
        DlrunError: If there are fewer than two, or one is unknown or has no direction.
    """
    words = [word.strip() for word in typed.split(",") if word.strip()]
    if len(words) < 2:
        raise DlrunError(
            f"{OPTION} {typed}: expected two or more, separated by commas",
            hint=f"{OPTION} val_accuracy,parameters; for one, set task.monitor",
        )
    metrics, logged = directions(config.task), metric_names(config)
    found = [_parse_one(word, metrics, logged) for word in words]
    if len({objective.name for objective in found}) < len(found):
        raise DlrunError(f"{OPTION} {typed}: each objective may be named once")
    return found


def _parse_one(word: str, metrics: Mapping[str, str | None], logged: Sequence[str]) -> Objective:
    name, _, mode = word.partition(":")
    known = [*logged, *RECORDED]
    if name not in known:
        near = MEANT.get(name) or nearest(name, known)
        listed = ", ".join(known)
        raise DlrunError(
            f"{OPTION} {name}: expected one of {listed}",
            hint=f"did you mean {near}?" if near else None,
        )
    if mode not in ("", "min", "max"):
        raise DlrunError(
            f"{OPTION} {word}: expected {name}, {name}:min or {name}:max",
            hint=f"{name}:max if more is better",
        )
    mode = mode or RECORDED.get(name) or metrics.get(name.removeprefix("val_")) or ""
    if not mode:
        raise DlrunError(
            f"{OPTION} {name}: it is not known whether less or more is better",
            hint=f"{name}:max if more is better, or {name}:min",
        )
    return Objective(name, mode)


def with_latency(typed: str | None, overrides: Sequence[str]) -> list[str]:
    """The overrides, with the callback that measures predictions if it is an objective."""
    names = [word.strip().partition(":")[0] for word in (typed or "").split(",")]
    chosen = re.compile(r"\+?callbacks=.*\blatency\b")
    if LATENCY not in names or any(map(chosen.match, overrides)):
        return list(overrides)
    return [*overrides, "+callbacks=latency"]


def values_of(jobs: Sequence[Job], objectives: Sequence[Objective]) -> list[float] | None:
    """The mean of each objective over the runs of a trial; None if a run lacks one."""
    means = []
    for objective in objectives:
        values = [objective.value(job) for job in jobs]
        numbers = [value for value in values if value is not None]
        if not numbers or len(numbers) < len(values):
            return None
        means.append(fmean(numbers))
    return means


def pareto_entry(
    jobs: Sequence[Job], objectives: Sequence[Objective], repeats: int
) -> dict[str, Any]:
    """The ``pareto`` entry of ``sweep.json`` and ``--json``.

    Args:
        jobs: All of the search.
        objectives: At least two.
        repeats: The runs of a trial; trials that lack some are left out. Of several, those that
            were resumed with other settings are in no mean.

    Returns:
        ``objectives``; and ``front`` and ``others``, each by the first objective, the best first.
    """
    trials: dict[int | None, list[Job]] = {}
    for job in jobs:
        if job.state == "completed":
            trials.setdefault(job.trial if repeats > 1 else job.number, []).append(job)
    entries, points = [], []
    for all_of in trials.values():
        of = [job for job in all_of if not job.resumed] if repeats > 1 else all_of
        if len(all_of) < repeats or not of or (values := values_of(of, objectives)) is None:
            continue
        shared = set.intersection(*(set(job.differs.items()) for job in of))
        named = dict(zip((o.name for o in objectives), values, strict=True))
        entries.append(
            {
                "runs": [job.number for job in of],
                "run_dirs": [str(job.path) for job in of],
                "differs": {k: v for k, v in of[0].differs.items() if (k, v) in shared},
                "values": named,
            }
        )
        points.append(values)
    modes = [objective.mode for objective in objectives]
    on_front = pareto_front(points, modes)
    sign = -1.0 if modes[0] == "max" else 1.0
    order = sorted(range(len(points)), key=lambda n: sign * points[n][0])
    return {
        "objectives": [vars(objective) for objective in objectives],
        "front": [entries[n] for n in order if on_front[n]],
        "others": [entries[n] for n in order if not on_front[n]],
    }


def check_sampler(sampler: str, objectives: Sequence[Objective]) -> None:
    """Refuse the sampler that takes one objective alone.

    Raises:
        DlrunError: If it is that one.
    """
    name = sampler.partition(",")[0].rpartition(".")[2].lower().removesuffix("sampler")
    if objectives and name == "cmaes":
        raise DlrunError(
            f"--sampler {sampler}: CMA-ES takes one objective, and {OPTION} has several",
            hint="--sampler tpe, nsgaii or gp",
        )

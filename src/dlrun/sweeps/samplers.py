"""Optuna's samplers by name, with draws that depend on the trial alone."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, QMCSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dlrun.config.sweeps.space import Choice, Interval, Space
from dlrun.errors import DlrunError
from dlrun.sweeps.by_name import create, short_name
from dlrun.sweeps.grid import GridSampler

# Packages that a sampler imports at its first draw.
PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}
EXHAUSTIVE = ("grid", "bruteforce")
# In place of Optuna's own.
REPLACED: Mapping[str, type] = dict.fromkeys(EXHAUSTIVE, GridSampler)


class SeededSampler(BaseSampler):
    """A sampler whose draws depend on the seed, the trial's number and the earlier results alone.

    With a single seed for all trials, a resumed study would repeat itself, and two processes that
    share a study would try the same values.

    Args:
        make: Creates the sampler from a seed.
        seed: The study's seed.
        space: What is searched; a value of a range is drawn as an exact decimal.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int, space: Space) -> None:
        self._make = make
        self._seed = seed
        self._space = space
        self._inner = make(seed)

    def is_exhausted(self, study: Study) -> bool:
        """Whether every value has been tried."""
        return isinstance(self._inner, GridSampler) and self._inner.is_exhausted(study)

    @property
    def repeats(self) -> bool:
        """Whether the last draw has been tried before: another process took the last new one."""
        return isinstance(self._inner, GridSampler) and self._inner.repeats

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Reseed the sampler for each trial."""
        # For these two, one seed decides the order of points for the whole study.
        if not isinstance(self._inner, GridSampler | QMCSampler):
            mixed = np.random.SeedSequence([self._seed, trial.number])
            self._inner = self._make(int(mixed.generate_state(1)[0]))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Delegate to the sampler."""
        return self._inner.infer_relative_search_space(self._seen_study(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Delegate to the sampler."""
        drawn = self._inner.sample_relative(self._seen_study(study), trial, search_space)
        return {name: self._exact(name, value) for name, value in drawn.items()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Delegate to the sampler."""
        seen = self._seen_study(study)
        drawn = self._inner.sample_independent(seen, trial, param_name, param_distribution)
        return self._exact(param_name, drawn)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Delegate to the sampler."""
        self._inner.after_trial(study, trial, state, values)

    def _exact(self, name: str, value: Any) -> Any:
        within = self._space[name]
        return within.nearest(value) if isinstance(within, Interval) else value

    def _seen_study(self, study: Study) -> Any:
        """The study as its sampler sees it: TPE has a rule of its own for pruned trials."""
        return study if isinstance(self._inner, TPESampler) else _StudyWithPruned(study)


class _StudyWithPruned:
    """A study in which pruned trials are completed, with the best value that they reached.

    Most of Optuna's samplers learn from completed trials alone.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Any = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = self._study._get_trials(deepcopy, use_cache=use_cache)
        seen = [self._as_completed(t) if t.state is TrialState.PRUNED else t for t in trials]
        return [trial for trial in seen if states is None or trial.state in states]

    def _as_completed(self, trial: FrozenTrial) -> FrozenTrial:
        if (value := best_value(trial, self._study.direction)) is None:
            return trial
        completed = copy.copy(trial)
        completed.state, completed.values = TrialState.COMPLETE, [value]
        return completed


def best_value(trial: FrozenTrial, direction: StudyDirection) -> float | None:
    """A trial's value, or the best that it had reached when it was pruned; None without one."""
    if trial.state is not TrialState.PRUNED:
        return trial.value
    best = max if direction is StudyDirection.MAXIMIZE else min
    return best(filter(math.isfinite, trial.intermediate_values.values()), default=None)


def sampler(typed: str, space: Space, seed: int) -> SeededSampler:
    """Create a sampler from ``tpe``, ``tpe,multivariate=true``, ``optuna.samplers.TPESampler``.

    Raises:
        DlrunError: If the name or an argument is unknown, or it can't search this space.
    """
    short = short_name(typed, "sampler")
    given: dict[str, Any] = {}
    if short in EXHAUSTIVE:
        values = {key: _values(short, key, within) for key, within in space.items()}
        given = {"search_space": values}
    for package in PACKAGES.get(short, ()):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise DlrunError(
                f"--sampler {short} needs {package}, which is not installed",
                hint=f"pip install {package}, or --sampler tpe",
            ) from error

    def make(seed: int) -> BaseSampler:
        created: BaseSampler = create("sampler", typed, REPLACED, given={**given, "seed": seed})
        return created

    return SeededSampler(make, seed, space)


def is_exhaustive(typed: str) -> bool:
    """Whether the sampler of this name tries each combination once."""
    return short_name(typed, "sampler") in EXHAUSTIVE


def size(typed: str, space: Space) -> int | None:
    """The number of possible trials, if the sampler tries each value once; else None."""
    short = short_name(typed, "sampler")
    if short not in EXHAUSTIVE:
        return None
    return math.prod(len(_values(short, key, within)) for key, within in space.items())


def _values(short: str, key: str, within: Interval | Choice) -> list[Any]:
    if isinstance(within, Choice):
        return list(within.values)
    if (values := within.values) is None:
        raise DlrunError(
            f"--sampler {short}: {key} has infinitely many values",
            hint=f"list its values, as in {key}=1,2,3 or {key}=range(1, 10)",
        )
    return values

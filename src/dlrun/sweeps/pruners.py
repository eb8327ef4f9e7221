"""Which runs of a search to end: Optuna's pruners, where they differ from Optuna's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dlrun.sweeps.by_name import create, short_name

RECENT_EPOCHS = 3  # one bad epoch ends no run, and an old success saves none


class PercentilePruner(optuna.pruners.BasePruner):
    """Ends a run whose recent epochs are worse than those of the best ``percentile`` of runs.

    A run's state at an epoch is the best value of its last ``recent_epochs`` epochs. Optuna takes
    the best of all epochs: a run that was good once and then diverges is never ended.

    Args:
        percentile: The share of the completed runs to keep up with, from 0 to 100.
        n_startup_trials: End no run before this many have completed.
        n_warmup_steps: End no run before this epoch.
        interval_steps: Judge every this many epochs.
        n_min_trials: How many completed runs must have reached the epoch.
        recent_epochs: How many epochs count.
    """

    def __init__(
        self,
        percentile: float,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        *,
        n_min_trials: int = 1,
        recent_epochs: int = RECENT_EPOCHS,
    ) -> None:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile: must be from 0 to 100, got {percentile}")
        least = {"n_startup_trials": 0, "n_warmup_steps": 0}
        least |= {"interval_steps": 1, "n_min_trials": 1, "recent_epochs": 1}
        given = (n_startup_trials, n_warmup_steps, interval_steps, n_min_trials, recent_epochs)
        for (name, bound), value in zip(least.items(), given, strict=True):
            if value < bound:
                raise ValueError(f"{name}: must be at least {bound}, got {value}")
        self._percentile = percentile
        self._startup = max(1, n_startup_trials)
        self._warmup = n_warmup_steps
        self._interval = interval_steps
        self._min_runs = n_min_trials
        self._recent_epochs = recent_epochs

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to end the run."""
        epoch = trial.last_step
        if epoch is None or epoch < self._warmup or (epoch - self._warmup) % self._interval:
            return False
        completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        sign = -1 if study.direction is StudyDirection.MAXIMIZE else 1
        others = [self._state(t, epoch, sign) for t in completed if epoch in t.intermediate_values]
        if len(completed) < self._startup or len(others) < self._min_runs:
            return False
        return bool(self._state(trial, epoch, sign) > np.percentile(others, self._percentile))

    def _state(self, trial: FrozenTrial, epoch: int, sign: int) -> float:
        """The best of the last epochs, smaller is better; infinite if none is finite."""
        values = trial.intermediate_values
        recent = [sign * values[e] for e in values if epoch - self._recent_epochs < e <= epoch]
        return min(filter(math.isfinite, recent), default=math.inf)


class MedianPruner(PercentilePruner):
    """Ends a run whose recent epochs are worse than the median of the completed runs.

    Args:
        n_startup_trials: As for :class:`PercentilePruner`.
        n_warmup_steps: As for :class:`PercentilePruner`.
        interval_steps: As for :class:`PercentilePruner`.
        n_min_trials: As for :class:`PercentilePruner`.
        recent_epochs: As for :class:`PercentilePruner`.
    """

    def __init__(
        self,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        *,
        n_min_trials: int = 1,
        recent_epochs: int = RECENT_EPOCHS,
    ) -> None:
        super().__init__(
            50,
            n_startup_trials,
            n_warmup_steps,
            interval_steps,
            n_min_trials=n_min_trials,
            recent_epochs=recent_epochs,
        )


class HyperbandPruner(optuna.pruners.HyperbandPruner):
    """Optuna's Hyperband, with brackets that depend on the seed and the trial's number alone.

    Optuna draws them from the study's name, and takes the length of the first completed run, which
    may have stopped early, for the largest resource.

    Args:
        seed: The study's seed.
        max_resource: The most epochs of a run.
        min_resource: The epochs after which a run is judged first.
        reduction_factor: Of this many runs one continues.
        bootstrap_count: How many runs must have been judged before one continues.
    """

    def __init__(
        self,
        *,
        seed: int,
        max_resource: int,
        min_resource: int = 1,
        reduction_factor: int = 3,
        bootstrap_count: int = 0,
    ) -> None:
        if not 1 <= min_resource <= max_resource:
            raise ValueError(f"min_resource: must be from 1 to {max_resource}, got {min_resource}")
        if reduction_factor < 2:
            raise ValueError(f"reduction_factor: must be at least 2, got {reduction_factor}")
        super().__init__(min_resource, max_resource, reduction_factor, bootstrap_count)
        self._seed = seed
        # Optuna's quotient of logarithms gives 5 brackets rather than 6 for 243 epochs.
        self._n_brackets = 1
        while min_resource * reduction_factor**self._n_brackets <= max_resource:
            self._n_brackets += 1
        # Before the first draw: it is made from the runs of one bracket.
        self._try_initialization(None)  # type: ignore[arg-type]  # reads a study for "auto" only

    def _get_bracket_id(self, study: Study, trial: FrozenTrial) -> int:
        shares = np.cumsum(self._trial_allocation_budgets)
        mixed = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]
        return int(np.searchsorted(shares, mixed % shares[-1], side="right"))


# In place of Optuna's own.
REPLACED: Mapping[str, type] = {
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "hyperband": HyperbandPruner,
}


def pruner(typed: str, seed: int, epochs: int) -> optuna.pruners.BasePruner:
    """Create a pruner from ``median``, ``hyperband``, ``median,n_startup_trials=2``, ``none``.

    Args:
        typed: The name, with arguments.
        seed: The study's seed.
        epochs: The most epochs of a run.

    Raises:
        DlrunError: If the name or an argument is unknown.
    """
    short = short_name(typed, "pruner")
    defaults: dict[str, Any] = {}
    if short == "hyperband":
        defaults = {"max_resource": epochs}
    elif short == "successivehalving":  # Optuna takes it from the first run that completes
        defaults = {"min_resource": max(1, epochs // 100)}
    created: optuna.pruners.BasePruner = create(
        "pruner",
        typed,
        REPLACED,
        given={"seed": seed} if short == "hyperband" else {},
        defaults=defaults,
        converters={"wrapped_pruner": lambda name: pruner(name, seed, epochs)},
    )
    return created

"""Optuna's samplers and pruners by name, with draws that depend on the trial alone."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GridSampler, QMCSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from dlrun.config.explain import nearest
from dlrun.config.sweeps.space import Choice, Interval, Space
from dlrun.errors import DlrunError, first_line

# Packages that a sampler imports at its first draw.
PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}
EXHAUSTIVE = ("grid", "bruteforce")


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
        self._space = space
        self._seed = seed
        self._inner = make(seed)
        self._stopped = False

    def exhausted(self, study: Study) -> bool:
        """Whether every value has been tried."""
        grid_done = isinstance(self._inner, GridSampler) and self._inner.is_exhausted(study)
        return self._stopped or grid_done

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
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Delegate to the sampler."""
        drawn = self._inner.sample_relative(study, trial, search_space)
        return {name: self._exact(name, value) for name, value in drawn.items()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Delegate to the sampler."""
        drawn = self._inner.sample_independent(study, trial, param_name, param_distribution)
        return self._exact(param_name, drawn)

    def _exact(self, name: str, value: Any) -> Any:
        within = self._space[name]
        return within.nearest(value) if isinstance(within, Interval) else value

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Delegate to the sampler, which may end the study."""
        try:
            self._inner.after_trial(study, trial, state, values)
        except RuntimeError as error:  # Study.stop raises outside of study.optimize
            if "Study.stop" not in str(error):
                raise
            self._stopped = True


def sampler(typed: str, space: Space, seed: int) -> SeededSampler:
    """Create a sampler from ``tpe``, ``tpe,multivariate=true``, ``optuna.samplers.TPESampler``.

    Raises:
        DlrunError: If the name or an argument is unknown, or it can't search this space.
    """
    short = sampler_name(typed, "Sampler")
    given: dict[str, Any] = {}
    if short in EXHAUSTIVE:
        values = {key: _values(short, key, within) for key, within in space.items()}
        given = {"search_space": values} if short == "grid" else {}
    for package in PACKAGES.get(short, ()):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise DlrunError(
                f"--sampler {short} needs {package}, which is not installed",
                hint=f"pip install {package}, or --sampler tpe",
            ) from error

    def make(seed: int) -> BaseSampler:
        created: BaseSampler = _create(optuna.samplers, "Sampler", typed, {**given, "seed": seed})
        return created

    return SeededSampler(make, seed, space)


def pruner(typed: str) -> optuna.pruners.BasePruner:
    """Create a pruner from ``median``, ``hyperband``, ``median,n_startup_trials=2``, ``none``.

    Raises:
        DlrunError: If the name or an argument is unknown.
    """
    created: optuna.pruners.BasePruner = _create(optuna.pruners, "Pruner", typed, {})
    return created


def size(typed: str, space: Space) -> int | None:
    """The number of possible trials, if the sampler tries each value once; else None."""
    short = sampler_name(typed, "Sampler")
    if short not in EXHAUSTIVE:
        return None
    return math.prod(len(_values(short, key, within)) for key, within in space.items())


def sampler_name(typed: str, suffix: str) -> str:
    """The short name of a sampler or pruner."""
    dotted = typed.partition(",")[0].strip()
    dotted = dotted.removeprefix(f"optuna.{suffix.lower()}s.")
    short = dotted.removesuffix(suffix).lower().replace("_", "").replace("-", "")
    return "nop" if short == "none" else short


def _create(module: ModuleType, suffix: str, typed: str, given: Mapping[str, Any]) -> Any:
    option = f"--{suffix.lower()} {typed}"
    classes = {
        sampler_name(each, suffix): getattr(module, each)
        for each in module.__all__
        if each.endswith(suffix) and not each.startswith(("Base", "Partial"))
    }
    short = sampler_name(typed, suffix)
    if short not in classes:
        names = ["none" if each == "nop" else each for each in sorted(classes)]
        near = nearest(short, names)
        raise DlrunError(
            f"{option}: expected one of {', '.join(names)}",
            hint=f"did you mean {near}?" if near else None,
        )
    accepted = set(inspect.signature(classes[short]).parameters) - set(given)
    arguments = {}
    for argument in typed.split(",")[1:]:
        key, _, value = argument.strip().partition("=")
        if key not in accepted:
            raise DlrunError(f"{option}: {key!r} is not one of {', '.join(sorted(accepted))}")
        arguments[key] = _value(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return classes[short](**arguments, **given)
    except (TypeError, ValueError) as error:
        raise DlrunError(f"{option}: {first_line(error)}") from error


def _value(typed: str) -> Any:
    try:
        return json.loads(typed)
    except ValueError:
        return typed


def _values(short: str, key: str, within: Interval | Choice) -> list[Any]:
    if isinstance(within, Choice):
        return list(within.values)
    if (values := within.values) is None:
        raise DlrunError(
            f"--sampler {short}: {key} has infinitely many values",
            hint=f"list its values, as in {key}=1,2,3 or {key}=range(1, 10)",
        )
    return values

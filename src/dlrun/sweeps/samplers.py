"""Optuna's samplers and pruners by their names, and what they draw."""

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

# What a sampler imports when it first draws.
PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "qmc": ("scipy",)}
EXHAUSTIVE = ("grid", "bruteforce")


class Seeded(BaseSampler):
    """A sampler whose draws are a function of the seed, the trial's number and what was told.

    A sampler that went on drawing from one seed would repeat itself where a study is resumed, and
    two processes that share a study would try the same.

    Args:
        make: From a seed to the sampler.
        seed: Of the study.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._inner = make(seed)
        self._stopped = False

    def exhausted(self, study: Study) -> bool:
        """Whether each value has been tried."""
        whole = isinstance(self._inner, GridSampler) and self._inner.is_exhausted(study)
        return self._stopped or whole

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Draw anew for each trial."""
        # The points of these two are in an order that one seed gives to the whole study.
        if not isinstance(self._inner, GridSampler | QMCSampler):
            mixed = np.random.SeedSequence([self._seed, trial.number])
            self._inner = self._make(int(mixed.generate_state(1)[0]))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As the sampler does."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As the sampler does."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """As the sampler does, which may end the study."""
        try:
            self._inner.after_trial(study, trial, state, values)
        except RuntimeError as error:  # outside of Optuna's own loop nobody listens to it
            if "Study.stop" not in str(error):
                raise
            self._stopped = True


def sampler(typed: str, space: Space, seed: int) -> Seeded:
    """A sampler as typed: ``tpe``, ``tpe,multivariate=true``, ``optuna.samplers.TPESampler``.

    Raises:
        DlrunError: If there is none, it has no such argument, or can't search in this space.
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
        made: BaseSampler = _made(optuna.samplers, "Sampler", typed, {**given, "seed": seed})
        return made

    return Seeded(make, seed)


def pruner(typed: str) -> optuna.pruners.BasePruner:
    """A pruner as typed: ``median``, ``hyperband``, ``median,n_startup_trials=2``, ``none``.

    Raises:
        DlrunError: If there is none, or it has no such argument.
    """
    made: optuna.pruners.BasePruner = _made(optuna.pruners, "Pruner", typed, {})
    return made


def size(typed: str, space: Space) -> int | None:
    """How many trials there can be, where a sampler tries each value once."""
    short = sampler_name(typed, "Sampler")
    if short not in EXHAUSTIVE:
        return None
    return math.prod(len(_values(short, key, within)) for key, within in space.items())


def sampler_name(typed: str, suffix: str) -> str:
    """A sampler's or pruner's name in short."""
    dotted = typed.partition(",")[0].strip()
    dotted = dotted.removeprefix(f"optuna.{suffix.lower()}s.")
    short = dotted.removesuffix(suffix).lower().replace("_", "").replace("-", "")
    return "nop" if short == "none" else short


def _made(module: ModuleType, suffix: str, typed: str, given: Mapping[str, Any]) -> Any:
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
            f"{option}: there is none; there are {', '.join(names)}",
            hint=f"did you mean {near}?" if near else None,
        )
    takes = set(inspect.signature(classes[short]).parameters) - set(given)
    arguments = {}
    for argument in typed.split(",")[1:]:
        key, _, value = argument.strip().partition("=")
        if key not in takes:
            raise DlrunError(f"{option}: {key!r} is none of {', '.join(sorted(takes))}")
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
    if within.step is None:
        raise DlrunError(
            f"--sampler {short}: {key} has numbers without end",
            hint=f"give it values, as in {key}=1,2,3 or {key}=range(1, 10)",
        )
    steps = round((within.high - within.low) / within.step)
    return [within.low + n * within.step for n in range(steps + 1)]

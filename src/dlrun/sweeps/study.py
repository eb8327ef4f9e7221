"""An Optuna study."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from dlrun.config.sweeps.space import Choice, Interval, Space
from dlrun.errors import DlrunError, first_line
from dlrun.sweeps.pruners import pruner
from dlrun.sweeps.samplers import best_value, sampler
from dlrun.system.files import is_file

BUSY_SECONDS = 60  # how long to wait for another process that writes to the same file
MONITOR = "monitor"  # the study's attribute that names its metric


class Study:
    """Chooses the values of the next trial, and which trials to prune, from earlier results.

    Args:
        space: The ranges and choices to search, by name.
        sampler_name: As typed.
        pruner_name: As typed.
        seed: The seed of the draws.
        epochs: The most epochs of a run.
        objectives: Metric and mode, ``min`` or ``max``, of each.
        conditions: By name, whether a parameter is drawn, from the values drawn before it.

    Raises:
        DlrunError: If there is no such sampler or pruner.
    """

    def __init__(
        self,
        space: Space,
        sampler_name: str,
        pruner_name: str,
        seed: int,
        epochs: int,
        objectives: Sequence[tuple[str, str]],
        conditions: Mapping[str, Callable[[Mapping[str, Any]], bool]] | None = None,
    ) -> None:
        self._conditions = conditions or {}
        self._space = {name: _distribution(within) for name, within in space.items()}
        self._sampler = sampler(sampler_name, space, seed)
        self._pruner = pruner(pruner_name, seed, epochs)
        self._objectives = objectives
        self._directions = [_direction(mode) for _, mode in self._objectives]
        self._study: optuna.Study | None = None
        self._trials: dict[int, optuna.Trial] = {}

    def open(self, storage: str, name: str, trials: Collection[int] = ()) -> None:
        """Create the study or join the existing one of this name, unless it is open.

        Args:
            storage: ``sqlite:///`` and the path of its database.
            name: Its name.
            trials: The numbers of those that it must have.

        Raises:
            DlrunError: If it can't be opened, belongs to another search, or lacks a trial, as its
                database was lost or another lies in its place; then, none is created.
        """
        if self._study is not None:
            return
        _route_warnings()
        with _database_errors(storage):
            there = _count_trials(storage, name) if trials else 0
            if lacking := [number for number in trials if number >= there]:
                raise DlrunError(
                    f"the study {name} in {storage} lacks trial {min(lacking)}, which the sweep"
                    " has",
                    hint="put its database back, or start a new search; the runs so far stay",
                )
            self._study = optuna.create_study(
                storage=_storage(storage),
                sampler=self._sampler,
                pruner=self._pruner,
                study_name=name,
                directions=self._directions,
                load_if_exists=True,
            )
            self._url = storage
            monitor = ", ".join(name for name, _ in self._objectives)
            recorded = self._study.user_attrs.get(MONITOR)
            if recorded is None:
                self._study.set_user_attr(MONITOR, monitor)
            directions = [direction.name.lower() for direction in self._study.directions]
            if recorded not in (None, monitor) or directions != self._directions:
                self._refuse(
                    f"is to {_in_words(directions, recorded)}, not to"
                    f" {_in_words(self._directions, monitor)}"
                )
            for trial in self._study.get_trials(deepcopy=False)[-1:]:
                for key, within in self._space.items():
                    if key in trial.distributions and _kind(trial.distributions[key]) != _kind(
                        within
                    ):
                        self._refuse(f"has {key} within {trial.distributions[key]}, not {within}")

    def ask(self, run_dir: str) -> tuple[int, dict[str, Any]] | None:
        """Start a trial; returns its number and its values, or None if every value is tried."""
        with _database_errors(self._url):
            if self._sampler.is_exhausted(self._opened):
                return None
            always = {k: each for k, each in self._space.items() if k not in self._conditions}
            trial = self._opened.ask(always)
            for name, holds in self._conditions.items():
                if holds(trial.params):
                    _suggest(trial, name, self._space[name])
            if self._sampler.repeats:
                self._opened.tell(trial, state=TrialState.FAIL)
                return None
            trial.set_user_attr("run_dir", run_dir)
            self._trials[trial.number] = trial
            return trial.number, trial.params

    def should_prune(self, number: int, epoch: int, value: float) -> bool:
        """Report an epoch's value; returns whether to prune the trial."""
        with _database_errors(self._url), warnings.catch_warnings():
            # A resumed run reports an epoch again; the study keeps the first value.
            warnings.simplefilter("ignore")
            trial = self._trial(number)
            trial.report(value, epoch)
            return bool(trial.should_prune())  # Optuna returns NumPy's

    def tell(self, number: int, values: Sequence[float] | None, *, pruned: bool) -> None:
        """Report a trial's final values, None if it failed; repeated reports are ignored."""
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        if pruned:
            values, state = None, TrialState.PRUNED
        with _database_errors(self._url):
            self._opened.tell(number, values, state, skip_if_finished=True)
            self._trials.pop(number, None)

    def has_ended(self, number: int) -> bool:
        """Whether the study has the final value of a trial."""
        with _database_errors(self._url):
            return self._opened.get_trials(deepcopy=False)[number].state.is_finished()

    def best(self) -> dict[str, Any] | None:
        """The best trial by its best epoch, pruned or not; None if there is none."""
        with _database_errors(self._url):
            study, ended = self._opened, (TrialState.COMPLETE, TrialState.PRUNED)
            trials = study.get_trials(deepcopy=False, states=ended)
            values = [(best_value(trial, study.direction), trial) for trial in trials]
            valued = [(value, trial) for value, trial in values if value is not None]
            if not valued:
                return None
            choose = max if study.direction is StudyDirection.MAXIMIZE else min
            value, best = choose(valued, key=lambda pair: pair[0])
            return {"trial": best.number, "value": value, "params": best.params}

    def front(self) -> list[dict[str, Any]]:
        """The trials of a study with several objectives that no other trial beats."""
        names = [name for name, _ in self._objectives]
        with _database_errors(self._url):
            return [
                {
                    "trial": trial.number,
                    "values": dict(zip(names, trial.values, strict=True)),
                    "params": trial.params,
                }
                for trial in self._opened.best_trials
            ]

    @property
    def _opened(self) -> optuna.Study:
        assert self._study is not None
        return self._study

    def _trial(self, number: int) -> optuna.Trial:
        """A running trial; one of an earlier process is loaded from the study."""
        if number not in self._trials:
            frozen = self._opened.get_trials(deepcopy=False)[number]
            self._trials[number] = optuna.Trial(self._opened, frozen._trial_id)
        return self._trials[number]

    def _refuse(self, reason: str) -> None:
        raise DlrunError(
            f"the study {self._opened.study_name} {reason}", hint="choose another name with --study"
        )


def _direction(mode: str) -> Literal["maximize", "minimize"]:
    return "maximize" if mode == "max" else "minimize"


def _in_words(directions: Sequence[str], monitor: object) -> str:
    """What a study is to do, in words."""
    names = str(monitor).split(", ")
    if len(names) != len(directions):
        return f"{' and '.join(directions)} {monitor}"
    return " and ".join(f"{d} {name}" for d, name in zip(directions, names, strict=True))


def _distribution(within: Interval | Choice) -> BaseDistribution:
    if isinstance(within, Choice):
        return CategoricalDistribution(within.values)
    low, high, step, log = within.low, within.high, within.step, within.log
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
        return IntDistribution(low, high, log=log, step=step)
    return FloatDistribution(low, high, log=log, step=step)


def _suggest(trial: optuna.Trial, name: str, within: BaseDistribution) -> None:
    """Draw a parameter that depends on the others."""
    if isinstance(within, CategoricalDistribution):
        trial.suggest_categorical(name, within.choices)
    elif isinstance(within, IntDistribution):
        trial.suggest_int(name, within.low, within.high, step=within.step, log=within.log)
    elif isinstance(within, FloatDistribution):
        trial.suggest_float(name, within.low, within.high, step=within.step, log=within.log)


def _kind(within: BaseDistribution) -> tuple[Any, ...]:
    """The properties of a parameter that are fixed within a study; its bounds may change."""
    return type(within), getattr(within, "log", None), getattr(within, "choices", None)


def _storage(url: str) -> optuna.storages.RDBStorage:
    settings = {"connect_args": {"timeout": BUSY_SECONDS}}
    for _ in range(9):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=settings)
        except SQLAlchemyError as error:  # another process is creating the same tables
            if "already exists" not in str(error) and "UNIQUE" not in str(error):
                raise
            time.sleep(0.2)
    return optuna.storages.RDBStorage(url, engine_kwargs=settings)


def _count_trials(storage: str, name: str) -> int:
    """How many trials a study has; 0 if there is none. To open a database would create it."""
    if not is_file(make_url(storage).database or ""):
        return 0
    database = _storage(storage)
    if name not in optuna.get_all_study_names(database):
        return 0
    return len(optuna.load_study(study_name=name, storage=database).get_trials(deepcopy=False))


@contextmanager
def _database_errors(storage: str) -> Iterator[None]:
    """Turn errors of Optuna and the database into a DlrunError.

    Raises:
        DlrunError: If the study can't be read or written.
    """
    try:
        yield
    except (optuna.exceptions.OptunaError, SQLAlchemyError, IndexError, KeyError) as error:
        cause = error.__cause__ or error
        raise DlrunError(
            f"the study in {storage} can't be used: {first_line(cause)}", exit_code=1
        ) from error


def _route_warnings() -> None:
    """Send Optuna's warnings to dlrun's log, and drop its other messages."""
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    library = logging.getLogger("optuna")
    for handler in logging.getLogger("dlrun").handlers:
        library.addHandler(handler)

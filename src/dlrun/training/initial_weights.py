"""Start from the weights of a run that has been: ``init_from=RUN``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.inference.loaded_run import resolve_epoch
from dlrun.runs.directory import RunDir
from dlrun.runs.locate import find_run

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    import numpy as np

    from dlrun.checkpoints.format import Variable

NO_WEIGHT = "seed_generator_state"  # set anew in each epoch


@dataclass(frozen=True)
class InitialWeights:
    """The variables of a run's best epoch."""

    run: Path
    epoch: int
    variables: Sequence[Variable]


def read_initial_weights(config: Config) -> InitialWeights | None:
    """Find the run that a config starts from, and read its best checkpoint.

    No framework is imported.

    Raises:
        DlrunError: If there is no such run, or its checkpoint can't be read.
    """
    if config.init_from is None:
        return None
    from dlrun.checkpoints.format import read_checkpoint
    from dlrun.checkpoints.store import Position, checkpoint_path

    run = find_initial_run(config)
    try:
        epoch = resolve_epoch(run, "best")
        saved = read_checkpoint(checkpoint_path(run.checkpoints, Position(epoch)))
    except DlrunError as error:
        raise DlrunError(f"init_from: {error.message}", hint=error.hint) from error
    return InitialWeights(run.path, epoch, saved.model)


def find_initial_run(config: Config) -> RunDir:
    """The run that a config starts from.

    Raises:
        DlrunError: If there is none.
    """
    try:
        return find_run(str(config.init_from), Path(config.runs_dir))
    except DlrunError as error:
        raise DlrunError(f"init_from: {error.message}", hint=error.hint) from error


def as_override(config: Config) -> list[str]:
    """The override that says which run ``init_from=latest`` is, where a config has that.

    For what trains several runs: they begin from the latest before them all.

    Raises:
        DlrunError: If there is none.
    """
    if config.init_from != "latest":
        return []
    return [f"init_from={json.dumps(str(find_initial_run(config).path))}"]


def assign_initial_weights(model: Any, weights: InitialWeights) -> dict[str, Any]:
    """Give a model's variables the values of those with the same path and shape.

    The models' own names, with which the paths of Sequential and subclassed models begin, may
    differ: a Functional model takes the weights of a subclassed one with layers of the same names.

    Args:
        model: Its other variables stay as they are.
        weights: From :func:`read`.

    Returns:
        What ``run.json`` says of it: the run, its epoch, how many variables were taken, and the
        paths of the model's variables that were left.

    Raises:
        DlrunError: If nothing matches.
    """
    values, own = _by_path(weights.variables), f"{model.name}/"
    variables = [v for v in model.variables if not v.path.endswith(NO_WEIGHT)]
    left = []
    for variable in variables:
        shape = tuple(variable.shape)
        for path in (variable.path, variable.path.removeprefix(own)):
            if (path, shape) in values:
                variable.assign(values[path, shape])
                break
        else:
            left.append(variable.path)
    if len(left) == len(variables):
        ours = ", ".join(f"{v.path} {tuple(v.shape)}" for v in variables[:2])
        theirs = ", ".join(f"{v.path} {v.value.shape}" for v in weights.variables[:2])
        raise DlrunError(
            f"init_from: no variable of {weights.run} has the path and shape of one of this model",
            hint=f"the model has {ours}, ...; the run has {theirs}, ...",
        )
    return {
        "run_dir": str(weights.run),
        "epoch": weights.epoch,
        "variables": len(variables) - len(left),
        "left": left,
    }


def _by_path(variables: Sequence[Variable]) -> dict[tuple[str, tuple[int, ...]], np.ndarray]:
    """Values by path and shape, and by what follows where all paths begin alike."""
    weights = [v for v in variables if not v.path.endswith(NO_WEIGHT)]
    values = {(v.path, v.value.shape): v.value for v in weights}
    if len({v.path.partition("/")[0] for v in weights}) == 1:
        values = {(v.path.partition("/")[2], v.value.shape): v.value for v in weights} | values
    return values

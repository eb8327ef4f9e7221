"""Start from the weights of an earlier run: ``init_from=RUN``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.inference.chosen_epoch import resolve_epoch
from dlrun.remote.places import shown_path
from dlrun.runs.directory import RunDir
from dlrun.runs.locate import find_run

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    import numpy as np

    from dlrun.checkpoints.format import Variable

SEED_STATE = "seed_generator_state"  # set again in each epoch


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
        path = checkpoint_path(run.checkpoints, Position(epoch))
        saved = read_checkpoint(path, history=False)
    except DlrunError as error:
        raise DlrunError(f"init_from: {error.message}", hint=error.hint) from error
    return InitialWeights(run.path, epoch, saved.model)


def find_initial_run(config: Config) -> RunDir:
    """The run that a config starts from.

    Raises:
        DlrunError: If there is no such run.
    """
    try:
        return find_run(str(config.init_from), Path(config.runs_dir))
    except DlrunError as error:
        raise DlrunError(f"init_from: {error.message}", hint=error.hint) from error


def as_override(config: Config) -> list[str]:
    """The override that replaces ``init_from=latest`` by the path of that run; else none.

    Commands that train several runs use it, so that all start from the run that was the latest
    before them.

    Raises:
        DlrunError: If there is no run.
    """
    if config.init_from != "latest":
        return []
    return [f"init_from={json.dumps(shown_path(find_initial_run(config).path))}"]


def assign_initial_weights(model: Any, weights: InitialWeights) -> dict[str, Any]:
    """Assign the saved values to the variables of a model that have the same path and shape.

    The paths of Sequential and subclassed models begin with the model's name, which may differ: a
    Functional model takes the weights of a subclassed one whose layers have the same names.

    Args:
        model: Its other variables are not changed.
        weights: From :func:`read_initial_weights`.

    Returns:
        The entry for ``run.json``: the run, its epoch, the number of variables assigned, and the
        paths of the model's other variables.

    Raises:
        DlrunError: If no variable matches.
    """
    values, prefix = _by_path(weights.variables), f"{model.name}/"
    variables = [v for v in model.variables if not v.path.endswith(SEED_STATE)]
    unmatched = []
    for variable in variables:
        shape = tuple(variable.shape)
        for path in (variable.path, variable.path.removeprefix(prefix)):
            if (path, shape) in values:
                variable.assign(values[path, shape])
                break
        else:
            unmatched.append(variable.path)
    if len(unmatched) == len(variables):
        in_model = ", ".join(f"{v.path} {tuple(v.shape)}" for v in variables[:2])
        in_run = ", ".join(f"{v.path} {v.value.shape}" for v in weights.variables[:2])
        raise DlrunError(
            f"init_from: no variable of {weights.run} matches one of this model by path and shape",
            hint=f"the model has {in_model}, ...; the run has {in_run}, ...",
        )
    return {
        "run_dir": shown_path(weights.run),
        "epoch": weights.epoch,
        "variables": len(variables) - len(unmatched),
        "left": unmatched,
    }


def _by_path(variables: Sequence[Variable]) -> dict[tuple[str, tuple[int, ...]], np.ndarray]:
    """Values by path and shape; also without the first name, if all paths share it."""
    weights = [v for v in variables if not v.path.endswith(SEED_STATE)]
    values = {(v.path, v.value.shape): v.value for v in weights}
    if len({v.path.partition("/")[0] for v in weights}) == 1:
        values = {(v.path.partition("/")[2], v.value.shape): v.value for v in weights} | values
    return values

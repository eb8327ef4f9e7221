"""Try every point of a grid once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

Point = tuple[Any, ...]


class GridSampler(BaseSampler):
    """Draws each point of a grid that no trial of the study has drawn, in an order by the seed.

    Optuna's own draws points twice once a study has trials of a smaller grid, or two processes.

    Args:
        search_space: The values by name.
        seed: Decides the order.
    """

    def __init__(self, search_space: Mapping[str, Sequence[Any]], seed: int) -> None:
        self._names = sorted(search_space)
        points: list[Point] = list(itertools.product(*(search_space[n] for n in self._names)))
        order = np.random.default_rng(seed).permutation(len(points))
        self._points = dict.fromkeys(points[index] for index in order)
        self._point: Point = ()
        self.repeats = False  # whether the last draw had no new point left

    def is_exhausted(self, study: Study) -> bool:
        """Whether all points are drawn."""
        return not self._untried(_all_trials(study))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Draw the point."""
        left = self._untried([each for each in _all_trials(study) if each.number < trial.number])
        self.repeats = not left
        self._point = next(iter(left or self._points))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: a point does not depend on the distributions."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The parameter's value of the point."""
        return self._point[self._names.index(param_name)]

    def _untried(self, trials: Sequence[FrozenTrial]) -> dict[Point, None]:
        """The points that are left to later trials.

        A trial without values is being drawn in another process, which takes the first point left.
        """
        left = dict(self._points)
        for trial in trials:
            if all(name in trial.params for name in self._names):
                left.pop(tuple(trial.params[name] for name in self._names), None)
            elif left:
                del left[next(iter(left))]
        return left


def _all_trials(study: Study) -> list[FrozenTrial]:
    """All trials in order; Hyperband would show those of one bracket."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)

"""Several runs whose steps are computed in one program."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from dlrun.backends import TrainingBackend
from dlrun.system.turns import Turns
from dlrun.training.reuse import ProcessCache

if TYPE_CHECKING:  # Keras and NumPy are not imported before the backend is started
    from dlrun.backends import Lanes, Stepper, VectorizingBackend
    from dlrun.config.schema import Config
    from dlrun.data.batches import Batches, Take
    from dlrun.data.dataset import Dataset
    from dlrun.loops.step import Step


class Vectorized:
    """Trains several runs side by side; each is as it would be alone, to rounding.

    A run has a thread of its own, which runs until its next steps are due. When all runs have come
    to theirs, or have ended, these are computed together.

    Args:
        backend: Their backend.
        runs: How many there are.
    """

    def __init__(self, backend: VectorizingBackend, runs: int) -> None:
        self._runs = runs
        self._backend = backend
        self._turns = Turns(self._answer)
        self._lanes: Lanes | None = None
        self.cache = _SharedModel()

    def train(self, runs: Sequence[Callable[[LaneBackend], None]]) -> None:
        """Train the runs to their ends.

        Args:
            runs: Each trains a run whose request has the given backend and :attr:`cache`, and
                raises nothing.
        """

        def begin(run: Callable[[LaneBackend], None]) -> None:
            # What it passes on to the backend, a type checker does not see.
            backend: Any = _Lane(self._backend, self._runs, self._lanes_of_runs)
            run(backend)

        self._turns.run([partial(begin, run) for run in runs])

    def _lanes_of_runs(self) -> Lanes:
        if self._lanes is None:  # its module imports the framework
            self._lanes = self._backend.lanes(self._turns.ask)
        return self._lanes

    def _answer(self, calls: Sequence[Any]) -> Sequence[Any]:
        return self._lanes_of_runs().answer(calls)


class LaneBackend(TrainingBackend, Protocol):
    """The backend of a run that trains beside others; ``runs`` is how many train together."""

    runs: int


class _Lane:
    """A :class:`LaneBackend`: the backend, but for the steps.

    Args:
        backend: The backend.
        runs: How many runs train together.
        lanes: Gives what they share.
    """

    def __init__(self, backend: TrainingBackend, runs: int, lanes: Callable[[], Lanes]) -> None:
        self._backend = backend
        self.runs = runs
        self._lanes = lanes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def place(self, batches: Batches) -> Take:
        """See :class:`dlrun.backends.TrainingBackend`."""
        return self._lanes().place(batches)

    def stepper(self, model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
        """See :class:`dlrun.backends.TrainingBackend`."""
        stepper = self._lanes().stepper(model, step, compile=compile, scale=scale)
        return _LaneStepper(model, stepper)


class _LaneStepper:
    """A stepper that waits for the other runs, and finds the process as it has left it."""

    def __init__(self, model: Any, stepper: Stepper) -> None:
        self._model = model
        self._stepper = stepper
        self.load, self.store = stepper.load, stepper.store

    def train(self, *batches: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        with _kept(self._model):
            return self._stepper.train(*batches)

    def test(self, *batches: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        with _kept(self._model):
            return self._stepper.test(*batches)


@contextmanager
def _kept(model: Any) -> Iterator[None]:
    """Restore what the start and the callbacks of other runs change.

    The variables of a shared model are not part of it: the stepper has them.
    """
    import keras
    import numpy as np

    policy, state, numpy_state = (
        keras.config.dtype_policy(),
        random.getstate(),
        np.random.get_state(),
    )
    own = {name: getattr(model, name) for name in ("history", "stop_training")}
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)
        np.random.set_state(numpy_state)
        for name, value in own.items():
            setattr(model, name, value)


class _SharedModel(ProcessCache):
    """Lets runs that take turns share a model, with the code that is compiled to evaluate it."""

    def reuse(self, model: Any, config: Config, data: Dataset) -> Any:
        """As :meth:`ProcessCache.reuse`, and the next run may have the model at once."""
        found = super().reuse(model, config, data)
        self.keep(found, config, data)
        return found

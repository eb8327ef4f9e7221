"""The step of ``fit()`` in a run of several processes of torch."""

from __future__ import annotations

from typing import Any

import keras

from dlrun.backends._torch_devices import state
from dlrun.backends._torch_stepper import Steps
from dlrun.loops.step import Step


def bind_captured(model: Any, *, is_changed: bool) -> None:
    """Set a step of several processes as the model's own, for ``fit()``.

    It replays captured operations: Keras' Python takes as long as half of a small batch, and each
    process has it all. Where a callback may change the model between two steps, it replays none.
    ``model.train_step.recheck()`` says that other Python code may have run.
    """
    plain, captured = Steps(model, Step()), Steps(model, Step())
    if not is_changed:
        captured.capture()

    def train(data: Any) -> dict[str, Any]:
        return captured.train(*data)

    def test(data: Any) -> dict[str, Any]:
        # The first process evaluates the test split by itself.
        return (captured if state.together else plain).test(*data)

    train.in_parts = True  # type: ignore[attr-defined]
    train.recheck = captured.recheck  # type: ignore[attr-defined]
    model.train_step, model.test_step = train, test


class Recheck(keras.callbacks.Callback):
    """Lets a step of ``fit()`` verify its traces again where other callbacks have been called."""

    async_safe = True  # it has no batch hooks

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Verify them again."""
        self._recheck()

    def on_test_begin(self, logs: Any = None) -> None:
        """Verify them again."""
        self._recheck()

    def _recheck(self) -> None:
        getattr(self.model.train_step, "recheck", bool)()

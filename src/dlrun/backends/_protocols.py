"""What the modules of this package have in common, by name and form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a backend meets data and steps as objects
    import numpy as np

    from dlrun.data.batches import Batches
    from dlrun.loops.step import Step


class Stepper(Protocol):
    """Training and validation steps in the framework's own terms, for a loop written out.

    Arrays come as they are kept in memory, several batches along the first axis: inputs
    ``(steps, batch_size, *input_shape)``, targets ``(steps, batch_size, ...)``, or mappings of
    such. Each call makes ``steps`` steps and returns the running metrics after the last.
    """

    def load(self) -> None:
        """Take the state from the model's variables."""

    def store(self) -> None:
        """Give the state back to the model's variables."""

    def train(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """Train on some batches."""

    def test(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """Measure on some batches."""


class Backend(Protocol):
    """What each module of this package offers.

    ``PACKAGE`` is the package it needs, ``EXTRA`` the extra of dlrun that installs it, ``TRAINS``
    whether it can train, ``HIDDEN`` what Keras need not import beside it, ``NOISE`` what marks the
    lines that its libraries write to stderr when they start and that no user of a run needs,
    ``KEEPS_MEMORY`` whether it asks for large buffers anew in each step.
    """

    PACKAGE: str
    EXTRA: str
    TRAINS: bool
    HIDDEN: Sequence[str]
    NOISE: Sequence[str]
    KEEPS_MEMORY: bool

    def environment(
        self, kind: str, *, precision: str, cache_dir: Path | None
    ) -> Mapping[str, str]:
        """Variables to set before the framework is imported, unless the user has set them.

        Args:
            kind: The kind of device that will be used.
            precision: The Keras dtype policy that will be used.
            cache_dir: Where to keep compiled functions; None to keep none.
        """

    def version(self) -> str:
        """The framework's version."""

    def devices(self) -> list[str]:
        """The devices that there are, as ``kind:index``."""

    def use_device(self, device: str) -> None:
        """Compute on one of :meth:`devices` from now on; called before Keras is imported."""

    def default_device(self) -> str:
        """The device, of :meth:`devices`, that the framework takes by itself."""

    def seed(self, seed: int) -> None:
        """Seed the framework's own generators; Keras' generators are variables of the model."""

    def seed_epoch(self, seed: int) -> None:
        """Seed again at an epoch's start, as far as that costs no time."""

    def forget(self) -> None:
        """Let go of what the framework keeps of a run that has been, beyond what Keras clears."""

    def random_state(self) -> list[np.ndarray]:
        """The state of the generators that :meth:`seed_epoch` seeds, to go on within an epoch."""

    def set_random_state(self, state: Sequence[np.ndarray]) -> None:
        """Undo what has been drawn since :meth:`random_state`."""

    def feed(self, batches: Batches) -> Any:
        """The batches in the form that ``fit()`` takes fastest here, one of :mod:`dlrun.feeds`."""


class TrainingBackend(Backend, Protocol):
    """What the module of a backend that trains offers besides, for the loops.

    ``COMPILES`` are the values of ``loop.compile`` that it takes, ``TRACES`` says whether it traces
    and compiles a step before it makes the first, ``START_SECONDS`` about how long it takes until
    then. The functions are called once Keras is imported.
    """

    COMPILES: Sequence[str]
    TRACES: bool
    START_SECONDS: float

    def track(self, model: Any) -> None:
        """Before ``fit()``: let the framework know every variable of the model."""

    def gradient(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The derivative of a function of one tensor, itself such a function.

        Of a function with several values it is the derivative of their sum.
        """

    def bind(self, model: Any, step: Step) -> None:
        """Give a model the step as its ``train_step`` and ``test_step``, for ``fit()``."""

    def plan_raw(self, model: Any, inputs: Any, compile: str) -> tuple[str, int]:
        """How a raw loop does best with a model.

        Args:
            model: Compiled.
            inputs: One batch.
            compile: Of ``COMPILES``.

        Returns:
            What :meth:`stepper` takes as ``compile``, and how many steps to make in one call.
        """

    def stepper(self, model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
        """Make the steps of a raw loop.

        Args:
            model: Compiled.
            step: What a step computes.
            compile: As from :meth:`plan_raw`.
            scale: What inputs that are integers are divided by.
        """

"""The protocols that the modules of this package implement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a backend does not import data or steps
    import numpy as np

    from dlrun.data.batches import Batches, Take
    from dlrun.loops.step import Step


class Stepper(Protocol):
    """Training and validation steps in the framework's own terms, for a raw loop.

    Arrays have the dtype that they have in memory, and several batches along the first axis: inputs
    ``(steps, batch_size, *input_shape)``, targets ``(steps, batch_size, ...)``, or mappings of
    such arrays; ``weights`` is empty, or one more of these with the weights of the samples. Each
    call runs ``steps`` steps and returns the running metrics after the last. What
    :meth:`TrainingBackend.place` gathers is taken too.
    """

    def load(self) -> None:
        """Read the state from the model's variables."""

    def store(self) -> None:
        """Write the state back to the model's variables."""

    def train(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Train on the batches."""

    def test(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Evaluate the batches."""


class Lanes(Protocol):
    """Several runs whose steps are computed in one program, each in a lane of its own.

    Runs that compute the same from their states share a program; they differ in initial values,
    seeds and learning rates.
    """

    def place(self, batches: Batches) -> Take:
        """As :meth:`TrainingBackend.place`; runs with the same arrays share the copy."""

    def stepper(self, model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
        """As :meth:`TrainingBackend.stepper`, for one of the runs.

        Each of its calls asks, and goes on with the answer.
        """

    def answer(self, calls: Sequence[Any]) -> Sequence[Any]:
        """Answers to what runs have asked at the same time."""


class Tracer(Protocol):
    """Records what is computed, with the framework's own profiler.

    Below the directory that it is made with, it may also write a profiler's own files.
    """

    def start(self) -> None:
        """Begin to record."""

    def step(self, number: int) -> AbstractContextManager[Any]:
        """Name what is done in a context: a training step, numbered from 1."""

    def stop(self, file: Path) -> None:
        """End, and write the record to a gzipped file in Chrome's format."""


class Backend(Protocol):
    """The interface of every backend module.

    ``PACKAGE`` is the package it needs, ``EXTRA`` the extra of dlrun that installs it, ``TRAINS``
    whether it can train. ``HIDDEN`` names packages that Keras need not import with it, ``NOISE``
    marks lines that its libraries write to stderr at start-up and that no user needs.
    ``DISTRIBUTES`` names the ways that it can spread a run over devices, if any, in its module
    ``_<backend>_devices``, a :class:`dlrun.backends._spread.Distribution`.
    ``KEEPS_MEMORY`` is whether it reallocates large buffers in each step, so that the process
    should keep freed memory.
    """

    PACKAGE: str
    EXTRA: str
    TRAINS: bool
    HIDDEN: Sequence[str]
    NOISE: Sequence[str]
    KEEPS_MEMORY: bool
    DISTRIBUTES: Sequence[str]

    def environment(
        self, kind: str, *, precision: str, cache_dir: Path | None
    ) -> Mapping[str, str]:
        """Variables to set before the framework is imported, unless the user has set them.

        Args:
            kind: The kind of device that will be used.
            precision: The Keras dtype policy that will be used.
            cache_dir: Where to cache compiled functions; None for no cache.
        """

    def version(self) -> str:
        """The framework's version."""

    def devices(self) -> list[str]:
        """The available devices, as ``kind:index``; the framework's default is the first."""

    def use_device(self, device: str) -> None:
        """Compute on one of :meth:`devices` from now on; called before Keras is imported."""

    def device_of(self, array: Any) -> str:
        """Which of :meth:`devices` an array of the framework lies on."""

    def check_process(self, precision: str) -> None:
        """Check that the process computes as :meth:`environment` asks; called after Keras.

        Raises:
            DlrunError: If the framework was imported before with another setting.
        """

    def adapt_keras(self) -> None:
        """Mend what Keras does wrong on this backend; called after it is imported."""

    def set_matmul_precision(self, precision: str) -> None:
        """Set how exact products of float32 matrices and convolutions are from now on.

        Args:
            precision: ``highest`` is float32 throughout, ``high`` allows TF32 or its like, and
                ``default`` is the framework's own choice.
        """

    def seed(self, seed: int) -> None:
        """Seed the framework's own generators; Keras' generators are variables of the model."""

    def seed_epoch(self, seed: int) -> None:
        """Seed again at the start of an epoch, as far as that is cheap."""

    def forget(self) -> None:
        """Release what the framework keeps from a finished run, beyond what Keras clears."""

    def random_state(self) -> list[np.ndarray]:
        """The state of the generators that :meth:`seed_epoch` seeds, to resume within an epoch."""

    def set_random_state(self, state: Sequence[np.ndarray]) -> None:
        """Restore a state from :meth:`random_state`."""

    def feed(self, batches: Batches) -> Any:
        """The batches in the fastest form for ``fit()`` here, one of :mod:`dlrun.feeds`."""


class TrainingBackend(Backend, Protocol):
    """The interface of a backend that can train, for the loops.

    ``COMPILES`` are the supported values of ``loop.compile``, ``ON_GPU`` those of them that need a
    GPU. ``FIT_JOINS_STEPS`` is whether Keras' ``fit`` takes more than one batch per call,
    ``TRACES`` is whether the backend traces and compiles a step before it runs, ``START_SECONDS``
    roughly the time until then.
    ``VECTORIZES`` is whether it is a :class:`VectorizingBackend`. ``FREES_TENSORS`` is whether the
    memory of a tensor that is not needed any more leaves the framework, so that the growth of the
    process shows what a step takes.
    The functions are called after Keras is imported.
    """

    COMPILES: Sequence[str]
    ON_GPU: Sequence[str]
    FIT_JOINS_STEPS: bool
    TRACES: bool
    VECTORIZES: bool
    FREES_TENSORS: bool
    START_SECONDS: float

    def tracer(self, directory: Path) -> Tracer:
        """What records steps, for ``profile=trace``."""

    def step_bytes(self, model: Any, batch: Sequence[Any]) -> int | None:
        """The bytes that a training step holds at its peak beside state and batch.

        Args:
            model: A compiled model with a built optimizer and metrics; a step may be trained.
            batch: Inputs, targets, and weights if there are any.

        Returns:
            None if the framework does not tell.
        """

    def reset_peak_device_bytes(self) -> None:
        """Let :meth:`peak_device_bytes` count from now on, not since the process started."""

    def peak_device_bytes(self) -> int | None:
        """The most memory that arrays have taken on the device, of several the one with most.

        Returns:
            None on a CPU, and where the framework does not tell.
        """

    def track(self, model: Any, *, is_changed: bool) -> None:
        """Register every variable of the model with the framework, before ``fit()``.

        Args:
            model: A compiled model.
            is_changed: Whether a callback may read or change it between two steps.
        """

    def adapt_optimizer(self, optimizer: Any) -> Any:
        """The Keras optimizer in the form that is right and fastest here; it is not built yet."""

    def gradient(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The derivative of a function of one tensor, again a function of one tensor.

        If the function returns several values, it is the derivative of their sum.
        """

    def bind(self, model: Any, step: Step) -> None:
        """Set the step as the model's ``train_step`` and ``test_step``, for ``fit()``."""

    def free_device_bytes(self) -> int | None:
        """The memory that is free on the device; None on a CPU, or if the framework can't tell."""

    def place(self, batches: Batches) -> Take | None:
        """Copy the samples of a split to the device, where batches are gathered from now on.

        Args:
            batches: Of the split.

        Returns:
            From indices into the split, ``(steps, batch_size)``, to the arguments of a stepper's
            ``train`` or ``test``; None in a run on several devices.
        """

    def plan_raw(
        self, model: Any, inputs: Any, compile: str, *, on_device: bool = False
    ) -> tuple[str, int]:
        """The fastest way for a raw loop to run a model.

        Args:
            model: A compiled model.
            inputs: One batch.
            compile: One of ``COMPILES``.
            on_device: Whether the samples lie on the device, see :meth:`place`.

        Returns:
            The ``compile`` argument for :meth:`stepper`, and the number of steps per call.
        """

    def stepper(self, model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
        """Build the stepper of a raw loop.

        Args:
            model: A compiled model.
            step: What a step computes.
            compile: From :meth:`plan_raw`.
            scale: Divisor of integer inputs.
        """


class VectorizingBackend(TrainingBackend, Protocol):
    """The interface of a backend that can compute the steps of several runs in one program."""

    def lanes(self, ask: Callable[[Any], Any]) -> Lanes:
        """Compute the steps of several runs together.

        Args:
            ask: Called by a run with what it asks; returns the answer to it.
        """

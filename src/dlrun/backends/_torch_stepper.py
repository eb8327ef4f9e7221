"""The steps on torch, for ``fit()`` and for a raw loop."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import torch

from dlrun.backends._torch_capture import CapturedFunction
from dlrun.backends._torch_devices import state
from dlrun.backends._torch_graph import RecordedStep
from dlrun.data.scaling import integer_inputs, scale_inputs
from dlrun.data.tree import map_named
from dlrun.loops.step import Step
from dlrun.losses.masks import masks_of, set_masks

if TYPE_CHECKING:
    from dlrun.backends._torch_graph import Record
    from dlrun.data.batches import Batches, Take

log = logging.getLogger("dlrun")


class Steps:
    """A model's training and validation step."""

    def __init__(self, model: Any, step: Step) -> None:
        self._model = model
        self._step = step
        self.integers = integer_inputs(model)
        self._captured: list[CapturedFunction] = []

    def compile(self) -> None:
        """Compile the forward pass with torch; Keras' code around it stays Python."""
        self.forward = torch.compile(self.forward)  # type: ignore[method-assign]

    def capture(self) -> None:
        """Replay captured operations without Keras' Python, except for overridden hooks."""
        self._capture("apply")
        if not self._step.overrides("loss"):
            self._capture("gradients", all_agree=_all_agree())
            self._capture("validation_outputs", all_agree=_all_agree())
        if not self._step.overrides("metrics"):
            self._capture("metrics")
            self._capture("update_metrics")

    def _capture(self, name: str, **keywords: Any) -> None:
        captured = CapturedFunction(getattr(self, name), self.variables, **keywords)
        setattr(self, name, captured)
        self._captured.append(captured)

    def recheck(self) -> None:
        """Verify the traces again, as other Python code may have run since the last step."""
        for captured in self._captured:
            captured.recheck()

    def traces(self) -> tuple[int, int]:
        """How often something was traced, and how often called without a verified trace."""
        return sum(c.traced for c in self._captured), sum(c.direct for c in self._captured)

    def are_captured(self) -> bool:
        """Whether a step consists of captured functions alone."""
        return type(self._step) is Step

    def train(
        self, inputs: Any, targets: Any, *weights: Any, logged: bool = True
    ) -> dict[str, Any]:
        """Train on a batch; returns the logs if ``logged``."""
        batch = self._step.apply_batch_hook(self._model, inputs, targets, *weights)
        inputs, targets, *weights = batch  # type: ignore[assignment]
        outputs, masks, loss, gradients = self.gradients(*batch)
        with torch.no_grad():
            self.apply(self._step.apply_gradient_hook(self._model.optimizer, gradients))
            return self._update(loss, inputs, targets, outputs, masks, *weights, logged=logged)

    def test(self, inputs: Any, targets: Any, *weights: Any, logged: bool = True) -> dict[str, Any]:
        """Evaluate a batch; returns the logs if ``logged``."""
        with torch.no_grad():
            outputs, masks, loss = self.validation_outputs(inputs, targets, *weights)
            return self._update(loss, inputs, targets, outputs, masks, *weights, logged=logged)

    def _update(self, *results: Any, logged: bool) -> dict[str, Any]:
        if logged:
            return self.metrics(*results)
        self.update_metrics(*results)
        return {}

    def forward(
        self, inputs: Any, targets: Any, *weights: Any, training: bool
    ) -> tuple[Any, Any, Any]:
        """Outputs, their masks, which a replayed trace would drop, and loss."""
        if state.together:
            from dlrun.backends import _torch_parts

            outputs = _torch_parts.call(self._model, inputs, training=training)
        else:
            outputs = self._model(inputs, training=training)
        results = (inputs, targets, outputs, *weights)
        loss = self._step.apply_loss_hook(self._model, *results, training=training)
        return outputs, masks_of(outputs), loss

    def gradients(self, *batch: Any) -> tuple[Any, Any, Any, list[Any]]:
        """As :meth:`forward`, and gradients; 0 for what the loss does not depend on."""
        outputs, masks, loss = self.forward(*batch, training=True)
        variables = [weight.value for weight in self._model.trainable_weights]
        if not variables:  # torch would refuse to derive by nothing
            return outputs, masks, loss, []
        scaled = self._model.optimizer.scale_loss(loss)
        gradients = torch.autograd.grad(scaled, variables, materialize_grads=True)
        if state.together:
            from dlrun.backends import _torch_parts

            gradients = _torch_parts.reduce_gradients(gradients)
        return outputs, masks, loss, list(gradients)

    def apply(self, gradients: Sequence[Any]) -> None:
        """Update the weights."""
        self._model.optimizer.apply(gradients, self._model.trainable_weights)

    def validation_outputs(self, *batch: Any) -> tuple[Any, Any, Any]:
        """As :meth:`forward`, in validation."""
        return self.forward(*batch, training=False)

    def metrics(
        self, loss: Any, inputs: Any, targets: Any, outputs: Any, masks: Any, *weights: Any
    ) -> dict[str, Any]:
        """Update the metrics and return the logs."""
        set_masks(outputs, masks)
        results = (loss, inputs, targets, outputs, *weights)
        return self._step.apply_metrics_hook(self._model, *results)

    def update_metrics(
        self, loss: Any, inputs: Any, targets: Any, outputs: Any, masks: Any, *weights: Any
    ) -> None:
        """Update the metrics; captured, it does not compute their results."""
        set_masks(outputs, masks)
        results = (loss, inputs, targets, outputs, *weights)
        self._step.apply_metrics_hook(self._model, *results)

    def variables(self) -> list[Any]:
        """All variables that a step may read or change."""
        model = self._model
        return [*model.variables, *model.metrics_variables, *model.optimizer.variables]


def _all_agree() -> Callable[[bool], bool]:
    if not state.together:
        return bool
    from dlrun.backends import _torch_parts

    return _torch_parts.all_agree


def gather_on_device(batches: Batches) -> Take:
    """Copy a split to the device; see :class:`dlrun.backends.TrainingBackend`."""
    device = keras.ops.zeros(()).device

    def tensor(array: Any) -> Any:
        return torch.as_tensor(array, device=device)

    parts = [_map(tensor, part) for part in batches.gather(np.arange(len(batches.split)))]

    def gather(samples: np.ndarray) -> tuple[Any, ...]:
        rows = tensor(samples.ravel())

        def take(whole: Any) -> Any:
            return whole.index_select(0, rows).reshape(*samples.shape, *whole.shape[1:])

        return tuple(_map(take, part) for part in parts)

    return gather


class TorchStepper:
    """See :class:`dlrun.backends.Stepper`; the state is the model's variables at all times.

    Args:
        steps: The steps.
        scale: Divisor of integer inputs.
        device: Where the batches are put.
        record: Records steps that are captured, to be replayed as a whole; None to record none.
    """

    def __init__(
        self, steps: Steps, scale: float, device: Any, record: Record | None = None
    ) -> None:
        self._steps = steps
        self._integers = steps.integers
        self._scale = scale
        self._device = device
        self._train, self._test = self._of_raw(steps.train), self._of_raw(steps.test)
        self._recorded: list[RecordedStep] = []
        if record and steps.are_captured():
            self._train = self._record(self._train, record)
            self._test = self._record(self._test, record)
        elif record:
            log.info("loop.compile=cuda_graph: a step of your own is not recorded")

    def load(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""
        self._steps.recheck()
        for recorded in self._recorded:
            recorded.recheck()

    def store(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    def train(self, *batches: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        return self._each(self._train, *batches)

    def test(self, *batches: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        return self._each(self._test, *batches)

    def _record(self, step: Callable[..., dict[str, Any]], record: Record) -> RecordedStep:
        steps = self._steps
        recorded = RecordedStep(step, variables=steps.variables, traces=steps.traces, record=record)
        self._recorded.append(recorded)
        return recorded

    def _of_raw(self, step: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """A step of inputs that are not scaled."""

        def scaled(inputs: Any, *others: Any, logged: bool) -> dict[str, Any]:
            return step(map_named(self._scale_inputs, inputs), *others, logged=logged)

        return scaled

    def _each(self, step: Callable[..., Any], *batches: Any) -> dict[str, Any]:
        def tensor(array: Any) -> Any:
            return torch.as_tensor(array, device=self._device)

        placed = [_map(tensor, arrays) for arrays in batches]
        targets, logs = placed[1], {}
        steps = len(next(iter(targets.values())) if _is_mapping(targets) else targets)
        for index in range(steps):
            select = operator.itemgetter(index)
            # Scaled one at a time: a batch is still in the cache when the model reads it.
            batch = [_map(select, arrays) for arrays in placed]
            logs = step(*batch, logged=index == steps - 1)
        return logs

    def _scale_inputs(self, name: str | None, tensor: Any) -> Any:
        integer = not tensor.is_floating_point()
        # In place, on the copy that float() makes.
        return scale_inputs(
            tensor,
            None if name in self._integers else self._scale,
            is_integer=integer,
            cast=torch.Tensor.float,
            divide=torch.Tensor.div_,
        )


def _map(function: Callable[[Any], Any], arrays: Any) -> Any:
    # Keras' own tree functions take a twentieth of a step.
    if _is_mapping(arrays):
        return {name: function(array) for name, array in arrays.items()}
    return function(arrays)


def _is_mapping(arrays: Any) -> bool:
    return isinstance(arrays, Mapping)

"""The steps on torch, for ``fit()`` and for a raw loop."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from dlrun.backends._torch_capture import Captured
from dlrun.data.input_spec import scaled

if TYPE_CHECKING:
    from dlrun.loops.step import Step


class Steps:
    """A model's training and validation step."""

    def __init__(self, model: Any, step: Step) -> None:
        self._model = model
        self._step = step
        self._doubts: list[Callable[[], None]] = []

    def compile(self) -> None:
        """Let torch compile the forward pass; what Keras does around it is Python."""
        self.forward = torch.compile(self.forward)  # type: ignore[method-assign]

    def capture(self) -> None:
        """Leave Keras' Python out, but for that of the hooks of a step of the user's own."""
        names = ["apply"]
        names += [] if self._step.overrides("loss") else ["gradients", "validated"]
        names += [] if self._step.overrides("metrics") else ["metrics", "update_metrics"]
        for name in names:
            captured = Captured(getattr(self, name), self.variables)
            setattr(self, name, captured)
            self._doubts.append(captured.doubt)

    def doubt(self) -> None:
        """Other Python may have run since the last step."""
        for doubt in self._doubts:
            doubt()

    def train(self, inputs: Any, targets: Any, *, logged: bool = True) -> dict[str, Any]:
        """Train on a batch; what is logged, where it is wanted."""
        inputs, targets = self._step.prepared(self._model, inputs, targets)
        outputs, loss, gradients = self.gradients(inputs, targets)
        with torch.no_grad():
            self.apply(self._step.changed(self._model.optimizer, gradients))
            return self._measured(loss, inputs, targets, outputs, logged=logged)

    def test(self, inputs: Any, targets: Any, *, logged: bool = True) -> dict[str, Any]:
        """Measure on a batch; what is logged, where it is wanted."""
        with torch.no_grad():
            outputs, loss = self.validated(inputs, targets)
            return self._measured(loss, inputs, targets, outputs, logged=logged)

    def _measured(self, *measured: Any, logged: bool) -> dict[str, Any]:
        if logged:
            return self.metrics(*measured)
        self.update_metrics(*measured)
        return {}

    def forward(self, inputs: Any, targets: Any, *, training: bool) -> tuple[Any, Any]:
        """Outputs and loss."""
        outputs = self._model(inputs, training=training)
        return outputs, self._step.loss(self._model, inputs, targets, outputs, training=training)

    def gradients(self, inputs: Any, targets: Any) -> tuple[Any, Any, list[Any]]:
        """Outputs, loss, and the loss's gradients; None for a variable that it does not use."""
        outputs, loss = self.forward(inputs, targets, training=True)
        weights = [weight.value for weight in self._model.trainable_weights]
        scaled = self._model.optimizer.scale_loss(loss)
        return outputs, loss, list(torch.autograd.grad(scaled, weights, allow_unused=True))

    def apply(self, gradients: Sequence[Any]) -> None:
        """Update the weights."""
        self._model.optimizer.apply(gradients, self._model.trainable_weights)

    def validated(self, inputs: Any, targets: Any) -> tuple[Any, Any]:
        """Outputs and loss, as of validation."""
        return self.forward(inputs, targets, training=False)

    def metrics(self, loss: Any, inputs: Any, targets: Any, outputs: Any) -> dict[str, Any]:
        """Update the metrics; what is logged."""
        return self._step.metrics(self._model, loss, inputs, targets, outputs)

    def update_metrics(self, loss: Any, inputs: Any, targets: Any, outputs: Any) -> None:
        """Update the metrics: of this, their results are no part when it is captured."""
        self._step.metrics(self._model, loss, inputs, targets, outputs)

    def variables(self) -> list[Any]:
        """All that a step may read or change."""
        model = self._model
        return [*model.variables, *model.metrics_variables, *model.optimizer.variables]


class TorchStepper:
    """See :class:`dlrun.backends.Stepper`; the state is the model's variables at all times."""

    def __init__(self, steps: Steps, scale: float, device: Any) -> None:
        self._steps = steps
        self._scale = scale
        self._device = device

    def load(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""
        self._steps.doubt()

    def store(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    def train(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        return self._each(self._steps.train, inputs, targets)

    def test(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        return self._each(self._steps.test, inputs, targets)

    def _each(self, step: Callable[..., Any], inputs: Any, targets: Any) -> dict[str, Any]:
        def tensor(array: Any) -> Any:
            return torch.as_tensor(array, device=self._device)

        inputs, targets = _mapped(tensor, inputs), _mapped(tensor, targets)
        logs: dict[str, Any] = {}
        steps = len(next(iter(targets.values())) if _named(targets) else targets)
        for index in range(steps):
            chosen = operator.itemgetter(index)
            # Scaled one by one: a batch is still in the cache when the model takes it.
            batch = _mapped(self._scaled, _mapped(chosen, inputs))
            logs = step(batch, _mapped(chosen, targets), logged=index == steps - 1)
        return logs

    def _scaled(self, tensor: Any) -> Any:
        integer = not tensor.is_floating_point()
        # In place, on the copy that float() makes.
        return scaled(
            tensor,
            self._scale,
            is_integer=integer,
            cast=torch.Tensor.float,
            divide=torch.Tensor.div_,
        )


def _mapped(function: Callable[[Any], Any], arrays: Any) -> Any:
    # Keras' own walk over trees costs a twentieth of a step.
    if _named(arrays):
        return {name: function(array) for name, array in arrays.items()}
    return function(arrays)


def _named(arrays: Any) -> bool:
    return isinstance(arrays, Mapping)

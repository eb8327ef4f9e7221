"""PyTorch."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dlrun.backends import Stepper
    from dlrun.data.batches import Batches
    from dlrun.loops.step import Step

PACKAGE = "torch"
EXTRA = "torch"
TRAINS = True
HIDDEN = ("matplotlib", "jax")  # and not pandas, which torch insists on looking for
NOISE: tuple[str, ...] = ()
COMPILES = {"auto": "eager", "eager": "eager", "graph": "graph"}
STEPS_PER_EXECUTION = 1


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.BackendModule`."""
    return {}


def version() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    return str(torch.__version__)


def devices() -> list[str]:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    gpus = torch.cuda.device_count() or int(torch.backends.mps.is_available())
    return [*(f"gpu:{index}" for index in range(gpus)), "cpu:0"]


def use_device(device: str) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    kind, _, index = device.partition(":")
    if kind == "cpu":
        name = "cpu"
    elif torch.cuda.is_available():
        torch.cuda.set_device(int(index))
        name = f"cuda:{index}"
    else:
        name = "mps"
    os.environ["KERAS_TORCH_DEVICE"] = name  # read when Keras is imported


def default_device() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    return devices()[0]


def seed(seed: int) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    torch.manual_seed(seed)


def seed_epoch(seed: int) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    torch.manual_seed(seed)


def random_state() -> list[np.ndarray]:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [state.numpy() for state in (torch.get_rng_state(), *gpus)]


def set_random_state(state: Sequence[np.ndarray]) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    cpu, *gpus = (torch.from_numpy(one) for one in state)
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)


def feed(batches: Batches) -> Any:
    """See :class:`dlrun.backends.BackendModule`."""
    from dlrun.feeds.pydataset import pydataset

    return pydataset(batches)


def gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    def derivative(at: Any) -> Any:
        at = torch.as_tensor(at)
        if not at.requires_grad:  # one that does is the variable of another derivative around this
            at = at.detach().requires_grad_()
        with torch.enable_grad():
            [slope] = torch.autograd.grad(function(at).sum(), at, create_graph=True)
        return slope

    return derivative


def bind(model: Any, step: Step) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    # Sample weights, which we have none of, come third.
    model.train_step = lambda data: _train_step(model, step, _forward, *data[:2])
    model.test_step = lambda data: _test_step(model, step, _forward, *data[:2])


def _forward(
    model: Any, step: Step, inputs: Any, targets: Any, *, training: bool
) -> tuple[Any, Any]:
    outputs = model(inputs, training=training)
    return outputs, step.loss(model, inputs, targets, outputs, training=training)


def _train_step(
    model: Any, step: Step, forward: Callable[..., Any], inputs: Any, targets: Any
) -> dict[str, Any]:
    import torch

    inputs, targets = step.prepared(model, inputs, targets)
    weights = model.trainable_weights
    for weight in weights:  # zero_grad() knows those of Keras' own layers only
        weight.value.grad = None
    outputs, loss = forward(model, step, inputs, targets, training=True)
    model.optimizer.scale_loss(loss).backward()
    with torch.no_grad():
        gradients = step.changed(model.optimizer, [w.value.grad for w in weights])
        model.optimizer.apply(gradients, weights)
        return step.metrics(model, loss, inputs, targets, outputs)


def _test_step(
    model: Any, step: Step, forward: Callable[..., Any], inputs: Any, targets: Any
) -> dict[str, Any]:
    import torch

    with torch.no_grad():
        outputs, loss = forward(model, step, inputs, targets, training=False)
        return step.metrics(model, loss, inputs, targets, outputs)


def stepper(model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
    """See :class:`dlrun.backends.BackendModule`."""
    import torch

    # The forward pass and, with it, its gradients; what Keras does around them is Python.
    return _Stepper(model, step, torch.compile(_forward) if compile == "graph" else _forward, scale)


class _Stepper:
    """See :class:`dlrun.backends.Stepper`; the state is the model's variables at all times."""

    def __init__(self, model: Any, step: Step, forward: Callable[..., Any], scale: float) -> None:
        self._arguments = (model, step, forward)
        self._scale = scale

    def load(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    def store(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    def train(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        return self._each(_train_step, inputs, targets)

    def test(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        return self._each(_test_step, inputs, targets)

    def _each(self, step: Callable[..., Any], inputs: Any, targets: Any) -> dict[str, Any]:
        import keras

        def prepared(array: Any) -> Any:
            tensor = keras.ops.convert_to_tensor(array)
            # In place, on the copy that float() makes.
            return tensor if tensor.is_floating_point() else tensor.float().div_(self._scale)

        inputs = _mapped(prepared, inputs)
        targets = _mapped(keras.ops.convert_to_tensor, targets)
        logs: dict[str, Any] = {}
        for index in range(len(next(iter(targets.values())) if _named(targets) else targets)):
            chosen = operator.itemgetter(index)
            logs = step(*self._arguments, _mapped(chosen, inputs), _mapped(chosen, targets))
        return logs


def _mapped(function: Callable[[Any], Any], arrays: Any) -> Any:
    # Keras' own walk over trees costs a twentieth of a step.
    if _named(arrays):
        return {name: function(array) for name, array in arrays.items()}
    return function(arrays)


def _named(arrays: Any) -> bool:
    return isinstance(arrays, Mapping)

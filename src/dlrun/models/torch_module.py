"""A network in plain torch, as a model of its own or as a layer of one. It needs ``backend=torch``.

Keras' TorchModuleWrapper can't be called on a ``keras.Input``, names variables by what was built
before, leaves out the statistics of batch normalization, and saves a pickle.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import keras

from dlrun.errors import DlrunError
from dlrun.models.native import named_variable, native_model, refuse_to_save, require_backend

if TYPE_CHECKING:
    import torch


class TorchModule(keras.layers.Layer):
    """A ``torch.nn.Module`` as a layer.

    Its variables are the module's parameters and persistent buffers, by their names in
    ``state_dict()``. The module is in training mode when the layer is; buffers change only then.

    Args:
        module: The module. It takes the layer's inputs: one tensor, or several as keywords.

    Raises:
        DlrunError: If the backend is not torch, or ``module`` is not a torch module.
    """

    def __init__(self, module: torch.nn.Module, **kwargs: Any) -> None:
        require_backend("torch", "a torch.nn.Module")
        import torch

        if not isinstance(module, torch.nn.Module):
            raise DlrunError(f"expected a torch.nn.Module, got {type(module).__name__}")
        super().__init__(autocast=False, **kwargs)  # torch's own autocast knows each operation
        self._held = _HeldModule(module)

    def build(self, input_shape: Any) -> None:
        """Create the variables, with the module's values."""
        import torch

        module, device = self._held.module, keras.ops.zeros(()).device
        if any(map(torch.nn.parameter.is_lazy, module.parameters())):
            arguments = _arguments(_zeros(input_shape))
            with torch.no_grad():
                module.to("cpu").eval()(*arguments[0], **arguments[1])
        module.to(device)
        kept = module.state_dict(keep_vars=True)
        named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for name, tensor in named.items():
            if name in kept:
                trains = isinstance(tensor, torch.nn.Parameter) and tensor.requires_grad
                variable = named_variable(self, name.split("."), tensor.detach(), trainable=trains)
                self._held.variables[name] = variable
        self._held.buffers = [name for name, _ in module.named_buffers() if name in kept]
        self.native_variables = list(self._held.variables.values())  # for Keras to track

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Map inputs, ``(batch_size, ...)``, to the module's outputs."""
        import torch

        module, variables = self._held.module, self._held.variables
        module.train(bool(training))
        values = {name: variable.value for name, variable in variables.items()}
        # Copies: some of torch's operations change a buffer without saying so in their schema.
        changing = self._held.buffers if training else []
        values |= {name: values[name].clone() for name in changing}
        arguments, keywords = _arguments(keras.tree.map_structure(self._cast, inputs))
        device = next(iter(values.values())).device.type if values else "cpu"
        mixed = self.compute_dtype != self.variable_dtype
        precision = getattr(torch, self.compute_dtype) if mixed else None
        with torch.autocast(device, dtype=precision) if mixed else contextlib.nullcontext():
            outputs = torch.func.functional_call(module, values, arguments, keywords)
        for name in changing:
            variables[name].assign(values[name])
        return keras.tree.map_structure(self._cast, outputs)

    def _cast(self, tensor: Any) -> Any:
        return keras.ops.cast(tensor, self.variable_dtype) if tensor.is_floating_point() else tensor

    def native_modules(self) -> Iterator[torch.nn.Module]:
        """The module and all of its parts, which Keras does not know of."""
        yield from self._held.module.modules()

    def describe_architecture(self) -> dict[str, Any]:
        """The module's parts, for the check that a checkpoint is of this network."""
        named = self._held.module.named_modules()
        parts = {name: f"{type(part).__name__}({part.extra_repr()})" for name, part in named}
        return {f"module.{name}".rstrip("."): part for name, part in parts.items()}

    get_config = refuse_to_save("a torch.nn.Module")


class _HeldModule:
    """Hides a module and its variables from Keras: it would wrap it, and track them twice."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.variables: dict[str, Any] = {}
        self.buffers: list[str] = []


def torch_module(
    input_shape: Any,
    num_classes: int,
    *,
    module: Callable[..., torch.nn.Module],
    only_backend: str = "torch",
) -> keras.Model:
    """Make a model of a torch module.

    Args:
        input_shape: One sample's shape, or shapes by name, which the module takes as keywords.
        num_classes: Passed on.
        module: Returns the module for ``input_shape`` and ``num_classes``.
        only_backend: What runs check before they start.

    Raises:
        DlrunError: As :class:`TorchModule`.
    """
    require_backend(only_backend, "a torch.nn.Module")
    return native_model(input_shape, TorchModule(module(input_shape, num_classes)))


def convnet(input_shape: tuple[int, ...], num_classes: int) -> torch.nn.Module:
    """A small convolutional network with batch normalization and dropout, in plain torch.

    Args:
        input_shape: ``(height, width, channels)``.
        num_classes: Logits in the output.
    """
    from torch import nn

    class ChannelsFirst(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.reshape(-1, *input_shape[:2], channels).permute(0, 3, 1, 2)

    channels = (*input_shape, 1)[2]
    return nn.Sequential(
        ChannelsFirst(),
        nn.Conv2d(channels, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.LazyLinear(num_classes),
    )


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return ((), dict(inputs)) if isinstance(inputs, Mapping) else ((inputs,), {})


def _zeros(shape: Any) -> Any:
    import torch

    if isinstance(shape, Mapping):
        return {name: _zeros(sizes) for name, sizes in shape.items()}
    return torch.zeros((1, *shape[1:]))

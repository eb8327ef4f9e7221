"""A network in flax, as a model of its own. It needs ``backend=jax`` and the package flax."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.models.jax_function import Apply, Init, JaxFunction
from dlrun.models.native import native_model, require_backend

# What a module may call the argument that says whether it trains, and its value in training.
TRAINING = {"training": True, "train": True, "is_training": True, "deterministic": False}


def flax_module(
    input_shape: Any, num_classes: int, *, module: Callable[..., Any], only_backend: str = "jax"
) -> keras.Model:
    """Make a model of a ``flax.linen.Module``.

    Args:
        input_shape: One sample's shape, or shapes by name.
        num_classes: Passed on.
        module: Returns the module for ``input_shape`` and ``num_classes``.
        only_backend: What runs check before they start.

    Raises:
        DlrunError: If the backend is not jax, flax is missing, or the module is not flax'.
    """
    require_backend(only_backend, "a flax module")
    if importlib.util.find_spec("flax") is None:
        raise DlrunError("flax is not installed", hint="pip install flax")
    return native_model(input_shape, JaxFunction(*functions(module(input_shape, num_classes))))


def functions(module: Any) -> tuple[Init, Apply]:
    """The functions of a flax module, for :class:`dlrun.models.jax_function.JaxFunction`.

    Collections other than ``params``, such as ``batch_stats``, are its state.

    Raises:
        DlrunError: If it is not a ``flax.linen.Module``.
    """
    import flax.linen
    import jax

    if not isinstance(module, flax.linen.Module):
        raise DlrunError(f"expected a flax.linen.Module, got {type(module).__name__}")
    takes = inspect.signature(type(module).__call__).parameters
    flag = next((name for name in TRAINING if name in takes), None)

    def mode(training: bool) -> dict[str, bool]:
        return {} if flag is None else {flag: TRAINING[flag] == training}

    def init(rng: Any, inputs: Any) -> tuple[Any, Any]:
        params, dropout = jax.random.split(rng)
        created = module.init({"params": params, "dropout": dropout}, inputs, **mode(False))
        state = {name: tree for name, tree in created.items() if name != "params"}
        return created.get("params", {}), state

    def apply(params: Any, state: Any, rng: Any, inputs: Any, training: bool) -> tuple[Any, Any]:
        variables, rngs = {"params": params, **state}, {"dropout": rng}
        if not training:
            return module.apply(variables, inputs, rngs=rngs, **mode(False)), state
        outputs, changed = module.apply(
            variables, inputs, rngs=rngs, mutable=list(state), **mode(True)
        )
        return outputs, {**state, **changed}

    return init, apply


def mlp(input_shape: tuple[int, ...], num_classes: int, *, units: int = 64) -> Any:
    """A network with one hidden layer, batch normalization and dropout, in flax.

    Args:
        input_shape: Flattened.
        num_classes: Logits in the output.
        units: Width of the hidden layer.
    """
    from flax import linen

    class Mlp(linen.Module):
        @linen.compact  # type: ignore[untyped-decorator]  # flax need not be installed
        def __call__(self, inputs: Any, training: bool = False) -> Any:
            features = linen.Dense(units)(inputs.reshape(inputs.shape[0], -1))
            features = linen.BatchNorm(use_running_average=not training, momentum=0.9)(features)
            features = linen.Dropout(0.25, deterministic=not training)(linen.relu(features))
            return linen.Dense(num_classes)(features)

    return Mlp()

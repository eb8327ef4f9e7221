"""How integer inputs, such as pixels, become the floats that a model takes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from dlrun.data.tree import leaves_by_name


def scale_inputs(
    values: Any,
    scale: Any,
    *,
    is_integer: bool,
    cast: Callable[[Any], Any],
    divide: Callable[[Any, Any], Any] = operator.truediv,
) -> Any:
    """Scale inputs for the model: divide integers by ``scale``, return floats unchanged.

    The only definition, for arrays and tensors of every framework, which passes its own functions.

    Args:
        values: An array or tensor of integers or floats, of any shape.
        scale: A number; in code that XLA compiles a tensor, as XLA would multiply by the inverse of
            a constant, which rounds differently. None for a model that takes integers.
        is_integer: Whether ``values`` has an integer dtype.
        cast: Converts integers to float32.
        divide: The division; it may work in place, as its argument is a copy.

    Returns:
        The same shape: float32 for integers, else the floats. Unchanged without a scale.
    """
    if not is_integer or scale is None:
        return values
    floats = cast(values)
    return floats if isinstance(scale, int | float) and scale == 1 else divide(floats, scale)


def integer_inputs(model: Any) -> frozenset[str | None]:
    """The names of the inputs that a model takes as integers; None for a single input.

    Args:
        model: Only a Functional or Sequential one declares the dtypes of its inputs.
    """
    declared = getattr(getattr(model, "_functional", None) or model, "_inputs_struct", None)
    if isinstance(declared, list | tuple):
        inputs = {tensor.name if len(declared) > 1 else None: tensor for tensor in declared}
    else:
        inputs = leaves_by_name(declared)
    return frozenset(
        name for name, tensor in inputs.items() if "int" in str(getattr(tensor, "dtype", ""))
    )

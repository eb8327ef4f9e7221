"""Where the parts of a model's variables lie, in a run with model_parallel on jax."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dlrun.backends._spread import Spread
from dlrun.errors import DlrunError

MODEL = "model"
Axes = list[str | None]


def distribution(spread: Spread, devices: Sequence[str]) -> Any:
    """The Keras distribution of a run on these devices, as ``kind:index``."""
    from keras.src.backend.jax.core import Variable  # Keras exports no other way

    assign_in_parts(Variable)
    return Layout(devices, spread.replicas, spread.layout)


class Layout(keras.distribution.ModelParallel):
    """A distribution that divides variables by patterns of their paths, or by their largest axis.

    Args:
        devices: As ``kind:index``.
        replicas: Copies of the model, each with its part of the batch.
        rules: The axes of a variable by a pattern of its path; None for ``auto``.
    """

    def __init__(
        self, devices: Sequence[str], replicas: int, rules: Mapping[str, Axes] | None
    ) -> None:
        mesh = keras.distribution.DeviceMesh(
            (replicas, len(devices) // replicas), ["batch", MODEL], list(devices)
        )
        empty = keras.distribution.LayoutMap(mesh)
        super().__init__(layout_map=empty, batch_dim_name="batch", auto_shard_dataset=False)
        self.rules = rules
        self.parts = len(devices) // replicas

    def get_variable_layout(self, variable: Any) -> Any:
        """Keras' own hook: the layout of a variable that is being made."""
        if (given := getattr(variable, "_layout", None)) is not None:
            return given  # an optimizer's, which are like those of its weights
        axes = self.axes_of(variable)
        if self._problem(variable, axes) is not None:  # which check() tells
            axes = [None] * len(variable.shape)
        return keras.distribution.TensorLayout(axes, self.device_mesh)

    def axes_of(self, variable: Any) -> Axes:
        """What each axis of a variable is divided by; None for an axis that is whole."""
        shape = tuple(variable.shape)
        if self.rules is None:
            return self._largest(variable, shape)
        for pattern, axes in self.rules.items():
            if re.search(pattern, variable.path):
                return list(axes)
        return [None] * len(shape)

    def check(self, model: Any) -> None:
        """Check the patterns against a model's variables.

        Raises:
            DlrunError: If one matches none, an axis can't be divided, or nothing is.
        """
        paths = [variable.path for variable in model.variables]
        for pattern in self.rules or ():
            if not any(re.search(pattern, path) for path in paths):
                shown = ", ".join(paths[:4]) + (", ..." if len(paths) > 4 else "")
                raise DlrunError(
                    f"distribution.layout: {pattern!r} matches no variable of the model",
                    hint=f"it has {shown}; 'dlrun summary' names all",
                )
        for variable in model.variables:
            if (problem := self._problem(variable, self.axes_of(variable))) is not None:
                raise DlrunError(
                    f"distribution.layout: {variable.path} {tuple(variable.shape)}: {problem}",
                    hint="choose another axis, or distribution.layout=auto",
                )
        if not any(MODEL in self.axes_of(variable) for variable in model.variables):
            raise DlrunError(
                f"distribution.layout=auto: no weight has an axis that {self.parts} devices divide"
                if self.rules is None
                else f"distribution.layout: it divides no weight by '{MODEL}'",
                hint="choose another device.count, or distribution=data_parallel",
            )

    def _largest(self, variable: Any, shape: tuple[int, ...]) -> Axes:
        """The largest axis that divides. Vectors stay whole: they are small."""
        axes: Axes = [None] * len(shape)
        sizes = [(size, axis) for axis, size in enumerate(shape) if size % self.parts == 0]
        if variable.trainable and len(shape) > 1 and sizes:
            axes[max(sizes)[1]] = MODEL
        return axes

    def _problem(self, variable: Any, axes: Axes) -> str | None:
        shape = tuple(variable.shape)
        if len(axes) != len(shape):
            return f"the layout has {len(axes)} axes, the variable {len(shape)}"
        for size, axis in zip(shape, axes, strict=True):
            parts = dict(zip(self.device_mesh.axis_names, self.device_mesh.shape, strict=True))
            if axis is not None and size % parts[axis]:
                return f"{size} can't be divided by {parts[axis]} devices"
        return None


def assign_in_parts(layout_variable: type) -> None:
    """Let variables that are divided take an array's parts, never the whole on one device."""
    assign = layout_variable.assign  # type: ignore[attr-defined]
    if getattr(assign, "in_parts", False):
        return

    def assign_parts(variable: Any, value: Any) -> Any:
        layout = getattr(variable, "_layout", None)
        if isinstance(value, np.ndarray) and layout is not None:
            import jax

            layout = getattr(layout, "backend_layout", layout)
            value = jax.device_put(value.astype(variable.dtype), layout)
        return assign(variable, value)

    assign_parts.in_parts = True  # type: ignore[attr-defined]
    layout_variable.assign = assign_parts  # type: ignore[attr-defined]


def memory_of(model: Any) -> list[dict[str, Any]]:
    """Each variable's layout, and its bytes whole and on one device."""
    rows = []
    for variable in model.variables:
        value, spec = variable.value, variable.value.sharding.spec
        axes = [*spec, *[None] * (value.ndim - len(spec))]
        part = math.prod(value.sharding.shard_shape(value.shape))
        rows.append(
            {
                "path": variable.path,
                "shape": list(value.shape),
                "layout": axes,
                "bytes": value.nbytes,
                "device_bytes": part * value.dtype.itemsize,
            }
        )
    return rows

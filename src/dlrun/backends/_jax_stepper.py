"""The steps of a raw loop on jax."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlrun.data.input_spec import scaled

# Trainable variables, others, the optimizer's, the metrics'.
State = tuple[list[Any], ...]


class JaxStepper:
    """See :class:`dlrun.backends.Stepper`.

    The model's variables are read by :meth:`load` and written by :meth:`store`; between them the
    state is this object's, and each call gives the arrays of the one before away.

    Args:
        model: Compiled.
        train: From state, inputs and targets to logs and state.
        test: Likewise; the optimizer's variables are no part of its state.
        compile: ``scan`` over the steps of a call, a compiled ``step`` after the other, or
            ``eager``.
        scale: What inputs that are integers are divided by.
    """

    def __init__(
        self,
        model: Any,
        train: Callable[..., Any],
        test: Callable[..., Any],
        compile: str,
        scale: float,
    ) -> None:
        self._model = model
        self._train, self._test = (_several(step, compile, scale) for step in (train, test))
        self._state: State = ()

    def load(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""
        self._state = tuple([v.value for v in part] for part in self._parts())

    def store(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""
        for part, values in zip(self._parts(), self._state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)

    def train(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        logs, self._state = self._train(self._state, inputs, targets)
        return logs  # type: ignore[no-any-return]

    def test(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        trainable, non_trainable, slots, metrics = self._state
        logs, state = self._test((trainable, non_trainable, metrics), inputs, targets)
        self._state = (*state[:2], slots, state[2])
        return logs  # type: ignore[no-any-return]

    def _parts(self) -> tuple[list[Any], ...]:
        model = self._model
        return (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )


def _several(step: Callable[..., Any], compile: str, scale: float) -> Callable[..., Any]:
    """Steps one after the other; batches lie along the first axis."""

    def float32(array: Any) -> Any:
        return array.astype("float32")

    def prepared(array: Any, scale: Any) -> Any:
        integer = jnp.issubdtype(array.dtype, jnp.integer)
        return scaled(array, scale, is_integer=integer, cast=float32)

    def one(state: State, inputs: Any, targets: Any, scale: Any) -> Any:
        inputs = jax.tree.map(lambda array: prepared(array, scale), inputs)
        return step(state, jax.lax.optimization_barrier(inputs), targets)

    def steps(state: State, inputs: Any, targets: Any, scale: Any) -> Any:
        def body(state: State, batch: Any) -> Any:
            inputs, targets = batch
            logs, state = one(state, inputs, targets, scale)
            return state, logs

        state, logs = jax.lax.scan(body, state, (inputs, targets))
        return jax.tree.map(lambda values: values[-1], logs), state

    compiled = jax.jit(one if compile == "step" else steps, donate_argnums=0)
    # An argument and no constant: XLA would multiply by a constant's inverse, which rounds
    # otherwise than the division by which every other loop scales.
    divisor = np.float32(scale)

    def run(state: State, inputs: Any, targets: Any) -> Any:
        if compile == "scan":
            return compiled(state, inputs, targets, divisor)
        if compile == "eager":
            with jax.disable_jit():
                return steps(state, inputs, targets, divisor)
        logs: Any = {}
        for index in range(len(jax.tree.leaves(targets)[0])):
            batch = jax.tree.map(operator.itemgetter(index), (inputs, targets))
            logs, state = compiled(state, *batch, divisor)
        return logs, state

    return run


def convolves(jaxpr: Any) -> bool:
    """Whether there is a convolution in it, which XLA computes on one thread within a loop.

    On a CPU a step of the guide's convnet takes more than ten times as long in a scan as alone.
    """
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            return True
        for value in jax.tree.leaves(list(equation.params.values())):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns") and convolves(inner):
                return True
    return False

"""The steps of a raw loop on jax."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlrun.backends._jax_devices import compiler_options, is_spread, place, shardings
from dlrun.data.scaling import scale_inputs
from dlrun.data.tree import map_named

if TYPE_CHECKING:
    from dlrun.data.batches import Batches

# The values of trainable, non-trainable, optimizer and metrics variables.
State = tuple[list[Any], ...]
Run = Callable[[State, Any, Any], tuple[dict[str, Any], State]]


class OnDevice(NamedTuple):
    """Batches of samples that lie on the device.

    Args:
        arrays: Inputs, targets, and weights if there are any, of the whole split.
        rows: Indices into them, ``(steps, batch_size)`` int32.
    """

    arrays: tuple[Any, ...]
    rows: np.ndarray


def gather_on_device(batches: Batches) -> Callable[[np.ndarray], tuple[OnDevice]]:
    """Copy a split to the device; see :class:`dlrun.backends.TrainingBackend`."""
    arrays = jax.device_put(batches.gather(np.arange(len(batches.split))))
    return lambda samples: (OnDevice(arrays, samples.astype(np.int32)),)


class JaxStepper:
    """See :class:`dlrun.backends.Stepper`.

    :meth:`load` reads the model's variables and :meth:`store` writes them. In between, this object
    holds the state, and each call donates the previous call's arrays.

    Args:
        model: A compiled model.
        train: Maps state, batches and arrays on the device, see :func:`split_arguments`, to logs
            and state.
        test: As ``train``; its state excludes the optimizer's variables.
        train_one: As ``train``, for a batch that is alone in a call and has others beside it
            elsewhere; None if that makes no difference.
    """

    def __init__(self, model: Any, train: Run, test: Run, train_one: Run | None = None) -> None:
        self._model = model
        self._train, self._test, self._train_one = train, test, train_one or train
        self._state: State = ()
        self.looped_size: int | None = None
        """The size of a batch that is computed alone with the bits that it has among others."""

    def load(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""
        self._state = tuple([v.value for v in group] for group in self._variables())

    def store(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""
        for group, values in zip(self._variables(), self._state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    def train(self, *batch: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        arrays, batches = split_arguments(batch)
        alone = np.shape(jax.tree.leaves(batches)[0])[:2] == (1, self.looped_size)
        run = self._train_one if alone else self._train
        logs, self._state = run(self._state, batches, arrays)
        return logs

    def test(self, *batch: Any) -> dict[str, Any]:
        """See :class:`dlrun.backends.Stepper`."""
        trainable, non_trainable, slots, metrics = self._state
        arrays, batches = split_arguments(batch)
        logs, state = self._test((trainable, non_trainable, metrics), batches, arrays)
        self._state = (*state[:2], slots, state[2])
        return logs

    def _variables(self) -> tuple[list[Any], ...]:
        model = self._model
        return (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )


def split_arguments(batch: tuple[Any, ...]) -> tuple[Any, Any]:
    """The arrays on the device, None if there are none, and the batches or their rows there."""
    first = batch[0]
    return (first.arrays, first.rows) if isinstance(first, OnDevice) else (None, batch)


class Program(NamedTuple):
    """A step and loops over it, to be compiled.

    Each takes the state, batches or rows, the arrays on the device and a divisor; ``loop`` also the
    number of turns. Several batches lie along the first axis.
    """

    step: Callable[..., Any]
    scan: Callable[..., Any]
    loop: Callable[..., Any]


def program(step: Callable[..., Any], integers: frozenset[str | None]) -> Program:
    """The program of a step.

    Args:
        step: Maps state, inputs, targets and weights, if there are any, to logs and state.
        integers: The inputs that the model takes as integers.
    """

    def float32(array: Any) -> Any:
        return array.astype("float32")

    def prepare(name: str | None, array: Any, scale: Any) -> Any:
        scale = None if name in integers else scale
        integer = jnp.issubdtype(array.dtype, jnp.integer)
        return scale_inputs(array, scale, is_integer=integer, cast=float32)

    def run_step(state: State, batch: Any, arrays: Any, scale: Any) -> Any:
        if arrays is not None:
            batch = jax.tree.map(lambda array: jnp.take(array, batch, 0, mode="clip"), arrays)
        inputs, *others = batch
        inputs = map_named(lambda name, array: prepare(name, array, scale), inputs)
        return step(state, jax.lax.optimization_barrier(inputs), *others)

    def scan(state: State, batches: Any, arrays: Any, scale: Any) -> Any:
        def body(state: State, batch: Any) -> Any:
            logs, state = run_step(state, batch, arrays, scale)
            return state, logs

        state, logs = jax.lax.scan(body, state, batches)
        return jax.tree.map(lambda values: values[-1], logs), state

    def loop(state: State, batches: Any, arrays: Any, scale: Any, turns: Any) -> Any:
        # XLA turns a loop of one turn into the code of a step alone, which rounds otherwise. So it
        # must not know the number of turns, nor that there is but one batch: there are two alike.
        def body(index: Any, carried: Any) -> Any:
            batch = jax.tree.map(lambda array: array[index], batches)
            return run_step(carried[1], batch, arrays, scale)

        first = jax.tree.map(operator.itemgetter(0), batches)
        logs, _ = jax.eval_shape(lambda: run_step(state, first, arrays, scale))
        zeros = jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), logs)
        return jax.lax.fori_loop(0, turns, body, (zeros, state))

    return Program(run_step, scan, loop)


def run_steps(of: Program, compile: str, scale: float) -> Run:
    """A function that runs several steps; batches lie along the first axis.

    Args:
        of: From :func:`program`.
        compile: ``scan`` over the steps of a call, one compiled ``step`` at a time, ``loop`` for a
            step that is alone, or ``eager``.
        scale: Divisor of integer inputs.
    """
    function = {"step": of.step, "loop": of.loop}.get(compile, of.scan)
    compiled: Any = None if is_spread() else jax.jit(function, donate_argnums=0)
    # An argument, not a constant: XLA would multiply by a constant's inverse, which rounds
    # differently from the division in every other loop.
    divisor = np.float32(scale)

    def run(state: State, batches: Any, arrays: Any) -> Any:
        nonlocal compiled
        if compile == "loop":
            batches = jax.tree.map(lambda array: np.concatenate([array, array]), batches)
        if is_spread():
            batches = place(batches, axis=1)
            # The variables stay where they are.
            outputs = None, shardings(state)
            compiled = compiled or jax.jit(
                function,
                donate_argnums=0,
                out_shardings=outputs,
                compiler_options=compiler_options(),
            )
        if compile == "scan":
            return compiled(state, batches, arrays, divisor)
        if compile == "loop":
            return compiled(state, batches, arrays, divisor, np.int32(1))
        if compile == "eager":
            with jax.disable_jit():
                return of.scan(state, batches, arrays, divisor)
        logs: Any = {}
        for index in range(len(jax.tree.leaves(batches)[0])):
            batch = jax.tree.map(operator.itemgetter(index), batches)
            logs, state = compiled(state, batch, arrays, divisor)
        return logs, state

    return run


def convolves(jaxpr: Any) -> bool:
    """Whether it contains a convolution, which XLA computes on one thread inside a loop.

    On a CPU, a step of the guide's convnet takes more than ten times as long in a scan as alone.
    """
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            return True
        for value in jax.tree.leaves(list(equation.params.values())):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns") and convolves(inner):
                return True
    return False

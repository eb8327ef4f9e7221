"""The steps on TensorFlow, for ``fit()`` and for a raw loop."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from dlrun.backends._tensorflow_devices import state
from dlrun.data.scaling import integer_inputs, scale_inputs
from dlrun.data.tree import map_named

if TYPE_CHECKING:
    from dlrun.data.batches import Batches, Take
    from dlrun.loops.step import Step


def train_step(model: Any, step: Step, *batch: Any) -> dict[str, Any]:
    """Train on a batch; returns the logs."""
    inputs, targets, *weights = step.apply_batch_hook(model, *batch)
    variables = model.trainable_weights
    with tf.GradientTape() as tape:
        outputs = _call(model, inputs, training=True)
        results = (inputs, targets, outputs, *weights)
        loss = step.apply_loss_hook(model, *results, training=True)
        scaled = model.optimizer.scale_loss(loss)
    if state.together:  # a tape does not see what other threads compute
        gradients = tf.gradients(scaled, [variable.value for variable in variables])
    else:
        gradients = tape.gradient(scaled, variables)
    if step.overrides("gradients"):  # it expects tensors, not the slices of an embedding
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        gradients = step.apply_gradient_hook(model.optimizer, gradients)
    model.optimizer.apply(gradients, variables)
    return step.apply_metrics_hook(model, loss, *results)


def test_step(model: Any, step: Step, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
    """Evaluate a batch; returns the logs."""
    outputs = _call(model, inputs, training=False)
    results = (inputs, targets, outputs, *weights)
    loss = step.apply_loss_hook(model, *results, training=False)
    return step.apply_metrics_hook(model, loss, *results)


def _call(model: Any, inputs: Any, *, training: bool) -> Any:
    if not state.together:
        return model(inputs, training=training)
    from dlrun.backends import _tensorflow_parts

    return _tensorflow_parts.call(model, inputs, training=training)


def convolves_on_a_cpu(model: Any, inputs: Any) -> bool:
    """Whether XLA would compute a convolution on one thread, as it does on a CPU inside a loop.

    A step of the guide's convnet then takes more than ten times as long. Outside a loop, XLA takes
    a quarter longer than a graph.
    """
    if not all("CPU" in variable.value.device for variable in model.variables[:1]):
        return False
    forward = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    # The text includes the functions that the graph calls.
    graph = str(forward.get_concrete_function(inputs).graph.as_graph_def())
    return re.search(r'\bop: "\w*Conv', graph) is not None


def gather_on_device(batches: Batches) -> Take:
    """Copy a split to the device; see :class:`dlrun.backends.TrainingBackend`."""
    parts = batches.gather(np.arange(len(batches.split)))
    whole = tf.nest.map_structure(tf.convert_to_tensor, parts)
    return lambda samples: tf.nest.map_structure(lambda array: tf.gather(array, samples), whole)


class TensorFlowStepper:
    """See :class:`dlrun.backends.Stepper`; the state is the model's variables at all times."""

    def __init__(self, model: Any, step: Step, compile: str, scale: float) -> None:
        self.train = self._compile(train_step, model, step, compile, scale)
        self.test = self._compile(test_step, model, step, compile, scale)

    def load(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    def store(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    @staticmethod
    def _compile(
        step_function: Callable[..., Any], model: Any, step: Step, compile: str, scale: float
    ) -> Callable[..., dict[str, Any]]:
        integers = integer_inputs(model)

        def float32(array: Any) -> Any:
            return tf.cast(array, tf.float32)

        def run_step(batches: tuple[Any, ...], index: Any, scale: Any) -> dict[str, Any]:
            def prepare(name: str | None, array: Any) -> Any:
                divisor = None if name in integers else scale
                return scale_inputs(array, divisor, is_integer=array.dtype.is_integer, cast=float32)

            inputs, *others = tf.nest.map_structure(lambda a: a[index], batches)
            inputs = map_named(prepare, inputs)
            logs: dict[str, Any] = step_function(model, step, inputs, *others)
            return logs

        def run_steps(batches: tuple[Any, ...], scale: Any) -> dict[str, Any]:
            steps = tf.nest.flatten(batches)[0].shape[0]
            if compile == "eager" or steps == 1:
                logs = [run_step(batches, index, scale) for index in range(steps)]
                return logs[-1]

            def body(index: Any) -> tuple[Any]:
                run_step(batches, index, scale)
                return (index + 1,)

            tf.while_loop(lambda index: index < steps, body, [0])
            results: dict[str, Any] = model.get_metrics_result()
            return results

        run: Callable[..., Any] = run_steps
        if compile != "eager":
            # As Keras traces its steps: autograph would first rewrite the source of all they call.
            run = tf.function(run_steps, jit_compile=compile == "xla", autograph=False)
        # A tensor, not a constant: XLA would multiply by a constant's inverse, which rounds
        # differently from the division in every other loop.
        divisor = tf.constant(scale, tf.float32)

        def call(*batches: Any) -> dict[str, Any]:
            # Tensors: with NumPy arrays, the function would be traced again for each call.
            logs: dict[str, Any] = run(
                tf.nest.map_structure(tf.convert_to_tensor, batches), divisor
            )
            return logs

        return call

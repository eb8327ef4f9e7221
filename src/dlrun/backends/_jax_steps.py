"""What a training and a validation step compute on jax, from the state of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import keras

from dlrun.backends._jax_devices import collect, divide, is_spread, whole
from dlrun.backends._jax_stepper import Program, State, program
from dlrun.data.scaling import integer_inputs
from dlrun.losses.masks import masks_of, set_masks

if TYPE_CHECKING:
    from dlrun.loops.step import Step


def collect_outputs(outputs: Any) -> Any:
    """Outputs that may leave a step on several devices, with their masks."""
    return without_masks(collect(with_masks(outputs)))


class MaskedOutputs(NamedTuple):
    """Outputs with their masks, which ``jax.grad`` would drop."""

    outputs: Any
    masks: Any


def with_masks(outputs: Any) -> MaskedOutputs:
    """The outputs with what masks are attached to them."""
    return MaskedOutputs(outputs, masks_of(outputs))


def without_masks(masked: MaskedOutputs) -> Any:
    """The outputs, with their masks attached."""
    set_masks(*masked)
    return masked.outputs


def train_step(model: Any, step: Step) -> Callable[..., Any]:
    """One step without side effects: from state and batch to logs and state."""

    def loss_and_updates(trainable: list[Any], rest: State, *batch: Any) -> Any:
        non_trainable, slots, metrics = rest
        # As in stateless_call, but spanning the loss too, so that the step's hooks may call the
        # model any number of times.
        values = [
            *zip(model.trainable_variables, trainable, strict=True),
            *zip(model.non_trainable_variables, non_trainable, strict=True),
            *zip(model.optimizer.variables, slots, strict=True),
            *zip(model.metrics_variables, metrics, strict=True),
        ]
        with keras.StatelessScope(values, collect_losses=True) as scope:
            inputs, targets, *weights = step.apply_batch_hook(model, *batch)
            outputs = model(inputs, training=True)
            results = (model, inputs, targets, outputs, *weights)
            loss = step.apply_loss_hook(*results, training=True)
            scaled = model.optimizer.scale_loss(loss)
        non_trainable, metrics = (
            [scope.get_current_value(v) for v in variables]
            for variables in (model.non_trainable_variables, model.metrics_variables)
        )
        batch = (inputs, targets, with_masks(outputs), *weights)
        return scaled, (loss, batch, non_trainable, metrics)

    def train(state: State, *batch: Any) -> tuple[dict[str, Any], State]:
        trainable, non_trainable, slots, metrics = state
        batch = divide(batch) if is_spread() else batch
        value_and_grad = jax.value_and_grad(loss_and_updates, has_aux=True)
        (_, (loss, batch, non_trainable, metrics)), gradients = value_and_grad(
            trainable, (non_trainable, slots, metrics), *batch
        )
        with keras.StatelessScope(list(zip(model.optimizer.variables, slots, strict=True))):
            gradients = step.apply_gradient_hook(model.optimizer, gradients)
        trainable, slots = model.optimizer.stateless_apply(slots, gradients, trainable)
        inputs, targets, masked, *weights = batch
        results = (loss, inputs, targets, without_masks(masked), *weights)
        logs, metrics = _update_metrics(model, step, metrics, *results)
        return logs, (trainable, non_trainable, slots, metrics)

    return train


def test_step(model: Any, step: Step) -> Callable[..., Any]:
    """One validation step without side effects; its state excludes the optimizer."""

    def test(
        state: State, inputs: Any, targets: Any, *weights: Any
    ) -> tuple[dict[str, Any], State]:
        trainable, non_trainable, metrics = state
        if is_spread():
            inputs, targets, *weights = divide((inputs, targets, *weights))
        values = [
            *zip(model.trainable_variables, trainable, strict=True),
            *zip(model.non_trainable_variables, non_trainable, strict=True),
            *zip(model.metrics_variables, metrics, strict=True),
        ]
        with keras.StatelessScope(values, collect_losses=True) as scope:
            outputs = model(inputs, training=False)
            outputs = collect_outputs(outputs) if is_spread() else outputs
            results = (inputs, targets, outputs, *weights)
            loss = step.apply_loss_hook(model, *results, training=False)
        # What a layer keeps of each batch changes in validation too, as in Keras' own step.
        non_trainable, metrics = (
            [scope.get_current_value(v) for v in variables]
            for variables in (model.non_trainable_variables, model.metrics_variables)
        )
        logs, metrics = _update_metrics(model, step, metrics, loss, *results)
        return logs, (trainable, non_trainable, metrics)

    return test


def _update_metrics(
    model: Any, step: Step, metrics: list[Any], *results: Any
) -> tuple[dict[str, Any], list[Any]]:
    """Update the metrics with a batch; returns the logs and the metrics' new state."""
    values = list(zip(model.metrics_variables, metrics, strict=True))
    with keras.StatelessScope(values) as scope:
        logs = step.apply_metrics_hook(model, *results)
    logs = whole(logs) if is_spread() else logs
    return logs, [scope.get_current_value(v) for v in model.metrics_variables]


def programs(model: Any, step: Step) -> tuple[Program, Program]:
    """What a training and a validation step compute."""
    integers = integer_inputs(model)
    return program(train_step(model, step), integers), program(test_step(model, step), integers)

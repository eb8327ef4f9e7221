"""What Keras does wrong on jax in steps of its own, mended."""

from typing import Any

import keras

from dlrun.backends._jax_devices import divide, is_spread
from dlrun.backends._jax_steps import MaskedOutputs, collect_outputs, with_masks, without_masks


def call_in_context() -> None:
    """Tell a subclassed model's layers in ``fit()`` whether they train.

    Keras calls such a model past its call context, from which the layers take it: a Dropout that
    ``call`` passes no ``training`` would do nothing.
    """
    call = keras.layers.Layer.stateless_call
    if getattr(call, "in_context", False):  # an earlier run of the process
        return

    def stateless_call(layer: Any, *arguments: Any, **keywords: Any) -> Any:
        if is_spread():  # from variables and inputs; a model's own call may have more of them
            trainable, non_trainable, *inputs = arguments
            arguments = (trainable, non_trainable, *map(divide, inputs))
        context = layer._get_call_context()
        before = context.get_value("training")
        context.set_value("training", keywords.get("training", before))
        if not layer._call_has_context_arg["training"]:
            keywords.pop("training", None)
        try:
            outputs, *others = call(layer, *arguments, **keywords)
            return (collect_outputs(outputs) if is_spread() else outputs), *others
        finally:
            context.set_value("training", before)
            layer._maybe_reset_call_context()

    stateless_call.in_context = True  # type: ignore[attr-defined]
    keras.layers.Layer.stateless_call = stateless_call


def keep_masks(model: Any) -> None:
    """Pass the masks of outputs to the metrics of ``fit()``, unless the model has its own step.

    Args:
        model: A compiled model.
    """
    is_own = type(model).train_step is not keras.Model.train_step or "train_step" in vars(model)
    if is_own or "compute_loss_and_updates" in vars(model):
        return
    compute_loss, compute_metrics = model.compute_loss_and_updates, model.compute_metrics

    def loss_and_updates(*arguments: Any, **keywords: Any) -> Any:
        loss, (unscaled, outputs, *variables) = compute_loss(*arguments, **keywords)
        return loss, (unscaled, with_masks(outputs), *variables)

    def metrics(inputs: Any, targets: Any, outputs: Any, sample_weight: Any = None) -> Any:
        outputs = without_masks(outputs) if isinstance(outputs, MaskedOutputs) else outputs
        return compute_metrics(inputs, targets, outputs, sample_weight)

    model.compute_loss_and_updates, model.compute_metrics = loss_and_updates, metrics

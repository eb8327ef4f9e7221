"""One training step, written once for every backend in ``keras.ops``.

The backend's module runs it in the framework's own terms: it computes the forward pass and the
gradients, and calls the hooks below.
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import keras
import numpy as np

from dlrun.errors import DlrunError
from dlrun.losses.masks import masks_of, position_weights
from dlrun.losses.sum_of_losses import with_reduction


class Step:
    """The usual step: the compiled loss, its gradients, the compiled metrics.

    To write your own step, override the hooks that differ and name the class in ``loop.step``. A
    class with a method ``train_step`` replaces the whole step; it takes Keras' own arguments:
    ``train_step(model, data)``, and on jax ``train_step(model, state, data)``.

    Where the samples have weights, the hooks ``batch``, ``loss`` and ``metrics`` get them as the
    keyword ``sample_weight``, and ``batch`` returns them as a third value. Where they have none, a
    hook is called without it. An overridden hook that lacks the keyword refuses weights.
    """

    _words: Sequence[int] = ()
    _seed_dtype = ""

    def begin(self, model: keras.Model, seed: int) -> None:
        """Prepare for training, before a step is compiled.

        Args:
            model: A compiled model.
            seed: The run's seed.
        """
        self._words = [int(w) for w in np.random.SeedSequence([seed, 1]).generate_state(64) >> 2]
        self._seed_dtype = keras.random.SeedGenerator(seed).state.dtype

    def batch(
        self, inputs: Any, targets: Any, seed: keras.random.SeedGenerator, sample_weight: Any = None
    ) -> tuple[Any, ...]:
        """Change a training batch before the forward pass, as mixup does.

        Args:
            inputs: Shape ``(batch_size, *input_shape)``, float32; a mapping for named inputs.
            targets: Shape ``(batch_size,)`` or ``(batch_size, ...)``; a mapping for named outputs.
            seed: For ``keras.random``: new numbers in each step, the same in each run.
            sample_weight: Shape ``(batch_size,)``, or ``(batch_size, steps)`` of labels with steps;
                a mapping for named outputs.
        """
        return (inputs, targets) if sample_weight is None else (inputs, targets, sample_weight)

    def loss(
        self,
        model: keras.Model,
        inputs: Any,
        targets: Any,
        outputs: Any,
        *,
        training: bool,
        sample_weight: Any = None,
    ) -> Any:
        """The scalar to minimise; it may call the model again, as a gradient penalty does.

        Args:
            model: A compiled model.
            inputs: From :meth:`batch`.
            targets: From :meth:`batch`.
            outputs: The model's outputs for the inputs.
            training: False in validation.
            sample_weight: From :meth:`batch`.
        """
        weight = _weights(sample_weight)
        return model.compute_loss(inputs, targets, outputs, training=training, **weight)

    def gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """Change the gradients, one per trainable variable, before the optimizer applies them.

        Args:
            gradients: Each of the shape and dtype of its variable; 0 for a variable that the loss
                does not depend on.
        """
        return gradients

    def metrics(
        self,
        model: keras.Model,
        loss: Any,
        inputs: Any,
        targets: Any,
        outputs: Any,
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        """Update the running metrics; return the logs, by name.

        Args:
            model: A compiled model.
            loss: From :meth:`loss`, a scalar.
            inputs: From :meth:`batch`.
            targets: From :meth:`batch`.
            outputs: The model's outputs for the inputs.
            sample_weight: From :meth:`batch`.
        """
        tracker = next(metric for metric in model.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=_samples(inputs))
        weight = _weights(sample_weight)
        logs: dict[str, Any] = model.compute_metrics(inputs, targets, outputs, **weight)
        return logs

    # The backends' modules call the methods below.

    def overrides(self, hook: str) -> bool:
        """Whether a subclass overrides the hook of this name."""
        return getattr(type(self), hook) is not getattr(Step, hook)

    def require_weights(self) -> None:
        """Check that the step can train on samples with weights.

        Raises:
            DlrunError: If an overridden hook does not take them.
        """
        for hook in ("batch", "loss", "metrics"):
            parameters = signature(getattr(self, hook)).parameters
            takes_any = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
            if not takes_any and "sample_weight" not in parameters:
                raise DlrunError(
                    f"loop.step: {type(self).__name__}.{hook} takes no sample_weight, and the"
                    " samples have weights",
                    hint=f"def {hook}(..., sample_weight=None)"
                    + (", which also returns it" if hook == "batch" else ""),
                )

    def apply_batch_hook(
        self, model: keras.Model, inputs: Any, targets: Any, *weights: Any
    ) -> tuple[Any, ...]:
        """The batch after :meth:`batch`; it has weights if ``weights`` is not empty."""
        if not self.overrides("batch"):
            return inputs, targets, *weights
        seed = StepSeed(self._words, model.optimizer.iterations, self._seed_dtype)
        return self.batch(inputs, targets, seed, **_weights(*weights))

    def apply_loss_hook(
        self,
        model: keras.Model,
        inputs: Any,
        targets: Any,
        outputs: Any,
        *weights: Any,
        training: bool,
    ) -> Any:
        """The value of :meth:`loss`."""
        return self.loss(model, inputs, targets, outputs, training=training, **_weights(*weights))

    def apply_metrics_hook(
        self, model: keras.Model, loss: Any, inputs: Any, targets: Any, outputs: Any, *weights: Any
    ) -> dict[str, Any]:
        """The logs of :meth:`metrics`."""
        return self.metrics(model, loss, inputs, targets, outputs, **_weights(*weights))

    def apply_gradient_hook(self, optimizer: Any, gradients: Sequence[Any]) -> Sequence[Any]:
        """The gradients after :meth:`gradients`.

        A mixed-precision optimizer scales the loss, and unscales the gradients when it applies
        them; the hook gets unscaled gradients.
        """
        if not self.overrides("gradients"):
            return gradients
        scale = optimizer.scale_loss(1.0)
        variables = optimizer._trainable_variables
        unscaled = [
            keras.ops.zeros(variable.shape, variable.dtype)
            if gradient is None
            else gradient / scale
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        return [gradient * scale for gradient in self.gradients(unscaled)]


class OwnLossStep(Step):
    """A step with its own loss function and tracker, besides those of ``compile``.

    The logged ``loss`` is the tracker's mean over the epoch, without regularization penalties.

    Args:
        loss: A function of targets and outputs that returns a scalar; null is the task's loss.
    """

    def __init__(self, loss: Any = None) -> None:
        self._loss = loss

    def begin(self, model: keras.Model, seed: int) -> None:
        """Add the tracker to the model, which resets it each epoch; on jax it becomes state."""
        super().begin(model, seed)
        # A task with a loss for each output compiles their sum, in a list.
        compiled = model.loss[0] if isinstance(model.loss, list) else model.loss
        self._loss = keras.losses.get(self._loss or compiled)
        self.tracker = keras.metrics.Mean(name="loss")
        # If two metrics share a name, the later one is logged: this one follows Keras' own.
        # Not a model attribute: a subclassed model accepts no new state after it is built.
        model._metrics.append(self.tracker)

    def loss(
        self,
        model: keras.Model,
        inputs: Any,
        targets: Any,
        outputs: Any,
        *,
        training: bool,
        sample_weight: Any = None,
    ) -> Any:
        """The loss function's value."""
        if sample_weight is None:
            return keras.ops.mean(self._loss(targets, outputs))
        weighted = with_reduction(self._loss)
        return keras.ops.mean(weighted(targets, outputs, sample_weight=sample_weight))

    def metrics(
        self,
        model: keras.Model,
        loss: Any,
        inputs: Any,
        targets: Any,
        outputs: Any,
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        """Track the loss, and update the compiled metrics."""
        masked = not isinstance(outputs, Mapping) and masks_of(outputs)
        weight = keras.ops.sum(position_weights(outputs)) if masked else _samples(inputs)
        self.tracker.update_state(loss, sample_weight=weight)
        given = _weights(sample_weight)
        logs: dict[str, Any] = model.compute_metrics(inputs, targets, outputs, **given)
        return logs


class StepSeed(keras.random.SeedGenerator):
    """Random numbers that are a function of seed and step, with no state to save or restore.

    Args:
        words: One word for each draw within a step.
        iterations: The optimizer's step count.
        dtype: The dtype of the backend's seeds.
    """

    def __init__(self, words: Sequence[int], iterations: Any, dtype: str) -> None:
        # No Keras variable: it can't be created inside a compiled step.
        self._words = iter(words)
        self._iterations = iterations
        self._dtype = dtype

    def next(self, ordered: bool = True) -> Any:
        """Two words for the next draw of this step.

        Raises:
            StopIteration: After 64 draws in one step.
        """
        word = keras.ops.convert_to_tensor(next(self._words), dtype=self._dtype)
        return keras.ops.stack([word, keras.ops.cast(self._iterations, self._dtype)])


def _weights(sample_weight: Any = None) -> dict[str, Any]:
    """The keyword for weights, if there are any: a model's own methods may not have it."""
    return {} if sample_weight is None else {"sample_weight": sample_weight}


def _samples(inputs: Any) -> Any:
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return keras.ops.shape(first)[0]

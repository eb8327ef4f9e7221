"""One training step, written once for every backend in ``keras.ops``.

The backend's module runs it in the framework's own terms: it computes the forward pass and the
gradients, and calls the hooks below.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dlrun.losses.masks import masks_of, position_weights


class Step:
    """The usual step: the compiled loss, its gradients, the compiled metrics.

    To write your own step, override the hooks that differ and name the class in ``loop.step``. A
    class with a method ``train_step`` replaces the whole step; it takes Keras' own arguments:
    ``train_step(model, data)``, and on jax ``train_step(model, state, data)``.
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

    def batch(self, inputs: Any, targets: Any, seed: keras.random.SeedGenerator) -> tuple[Any, Any]:
        """Change a training batch before the forward pass, as mixup does.

        Args:
            inputs: Shape ``(batch_size, *input_shape)``, float32; a mapping for named inputs.
            targets: Shape ``(batch_size,)`` or ``(batch_size, ...)``; a mapping for named outputs.
            seed: For ``keras.random``: new numbers in each step, the same in each run.
        """
        return inputs, targets

    def loss(
        self, model: keras.Model, inputs: Any, targets: Any, outputs: Any, *, training: bool
    ) -> Any:
        """The scalar to minimise; it may call the model again, as a gradient penalty does.

        Args:
            model: A compiled model.
            inputs: From :meth:`batch`.
            targets: From :meth:`batch`.
            outputs: The model's outputs for the inputs.
            training: False in validation.
        """
        return model.compute_loss(inputs, targets, outputs, training=training)

    def gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """Change the gradients, one per trainable variable, before the optimizer applies them.

        The gradient of a variable that the loss does not depend on is 0.
        """
        return gradients

    def metrics(
        self, model: keras.Model, loss: Any, inputs: Any, targets: Any, outputs: Any
    ) -> dict[str, Any]:
        """Update the running metrics; return the logs, by name."""
        tracker = next(metric for metric in model.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=_samples(inputs))
        logs: dict[str, Any] = model.compute_metrics(inputs, targets, outputs)
        return logs

    # The backends' modules call the methods below.

    def overrides(self, hook: str) -> bool:
        """Whether a subclass overrides the hook of this name."""
        return getattr(type(self), hook) is not getattr(Step, hook)

    def apply_batch_hook(self, model: keras.Model, inputs: Any, targets: Any) -> tuple[Any, Any]:
        """The batch after :meth:`batch`."""
        if not self.overrides("batch"):
            return inputs, targets
        seed = StepSeed(self._words, model.optimizer.iterations, self._seed_dtype)
        return self.batch(inputs, targets, seed)

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
        self, model: keras.Model, inputs: Any, targets: Any, outputs: Any, *, training: bool
    ) -> Any:
        """The loss function's value."""
        return keras.ops.mean(self._loss(targets, outputs))

    def metrics(
        self, model: keras.Model, loss: Any, inputs: Any, targets: Any, outputs: Any
    ) -> dict[str, Any]:
        """Track the loss, and update the compiled metrics."""
        masked = not isinstance(outputs, Mapping) and masks_of(outputs)
        weight = keras.ops.sum(position_weights(outputs)) if masked else _samples(inputs)
        self.tracker.update_state(loss, sample_weight=weight)
        logs: dict[str, Any] = model.compute_metrics(inputs, targets, outputs)
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


def _samples(inputs: Any) -> Any:
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return keras.ops.shape(first)[0]

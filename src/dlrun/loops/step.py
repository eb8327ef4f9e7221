"""What one training step computes, in ``keras.ops`` and so once for every backend.

The backend's module computes it in the framework's own terms: it makes the forward pass, takes the
gradients, and calls the hooks below where they belong.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class Step:
    """The usual step: the compiled loss, its gradients, the compiled metrics.

    To make a step of your own, override what differs and name the class in ``loop.step``. A class
    that has a method ``train_step`` takes the whole step over, with Keras' own arguments:
    ``train_step(model, data)``, and on jax ``train_step(model, state, data)``.
    """

    _words: Sequence[int] = ()
    _seed_dtype = ""

    def begin(self, model: keras.Model, seed: int) -> None:
        """Get ready, before anything is compiled.

        Args:
            model: Compiled.
            seed: The run's.
        """
        self._words = [int(w) for w in np.random.SeedSequence([seed, 1]).generate_state(64) >> 2]
        self._seed_dtype = keras.random.SeedGenerator(seed).state.dtype

    def batch(self, inputs: Any, targets: Any, seed: keras.random.SeedGenerator) -> tuple[Any, Any]:
        """Change a batch before the forward pass, as mixup does; in training only.

        Args:
            inputs: Shape ``(batch_size, *input_shape)``, float32; a mapping where there are names.
            targets: Shape ``(batch_size,)`` or ``(batch_size, ...)``; a mapping likewise.
            seed: For ``keras.random``: other numbers in each step, the same in each run.
        """
        return inputs, targets

    def loss(
        self, model: keras.Model, inputs: Any, targets: Any, outputs: Any, *, training: bool
    ) -> Any:
        """The scalar to minimise; it may call the model again, as a gradient penalty does.

        Args:
            model: Compiled.
            inputs: As from :meth:`batch`.
            targets: As from :meth:`batch`.
            outputs: What the model made of the inputs.
            training: False in validation.
        """
        return model.compute_loss(inputs, targets, outputs, training=training)

    def gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """Change the gradients, one per trainable variable, before the optimizer applies them."""
        return gradients

    def metrics(
        self, model: keras.Model, loss: Any, inputs: Any, targets: Any, outputs: Any
    ) -> dict[str, Any]:
        """Update the running metrics; return what is logged, by name."""
        tracker = next(metric for metric in model.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=_samples(inputs))
        logs: dict[str, Any] = model.compute_metrics(inputs, targets, outputs)
        return logs

    # What follows is called by the backends' modules.

    def overrides(self, hook: str) -> bool:
        """Whether a hook, by its name, is not that of the usual step."""
        return getattr(type(self), hook) is not getattr(Step, hook)

    def prepared(self, model: keras.Model, inputs: Any, targets: Any) -> tuple[Any, Any]:
        """The batch as :meth:`batch` leaves it."""
        if not self.overrides("batch"):
            return inputs, targets
        seed = StepSeed(self._words, model.optimizer.iterations, self._seed_dtype)
        return self.batch(inputs, targets, seed)

    def changed(self, optimizer: Any, gradients: Sequence[Any]) -> Sequence[Any]:
        """The gradients as :meth:`gradients` leaves them.

        A mixed-precision optimizer has scaled the loss up and scales the gradients down when it
        applies them: the hook sees them as they are. Variables that the loss does not depend on
        have no gradient, and it does not see those.
        """
        if not self.overrides("gradients"):
            return gradients
        scale = optimizer.scale_loss(1.0)
        there = [g / scale for g in gradients if g is not None]
        changed = iter([g * scale for g in self.gradients(there)])
        return [None if g is None else next(changed) for g in gradients]


class OwnLossStep(Step):
    """A step with a loss function and a tracker of its own, beside those of ``compile``.

    What is logged as ``loss`` is the tracker's mean over the epoch. The penalties of regularizers
    are no part of it.

    Args:
        loss: From targets and outputs to a scalar; null takes the task's.
    """

    def __init__(self, loss: Any = None) -> None:
        self._loss = loss

    def begin(self, model: keras.Model, seed: int) -> None:
        """Give the model the tracker, so that it is reset each epoch and is state on jax."""
        super().begin(model, seed)
        # A task with a loss for each output has them summed in one, which stands in a list.
        compiled = model.loss[0] if isinstance(model.loss, list) else model.loss
        self._loss = keras.losses.get(self._loss or compiled)
        self.tracker = keras.metrics.Mean(name="loss")
        # Of two metrics with one name the later one is logged, and this one comes after Keras' own.
        # Not as an attribute of the model: a subclassed one takes no more state once it is built.
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
        self.tracker.update_state(loss, sample_weight=_samples(inputs))
        logs: dict[str, Any] = model.compute_metrics(inputs, targets, outputs)
        return logs


class StepSeed(keras.random.SeedGenerator):
    """Random numbers that are a function of seed and step, with no state to save or restore.

    Args:
        words: One for each draw of a step.
        iterations: The optimizer's count of steps.
        dtype: Of the backend's seeds.
    """

    def __init__(self, words: Sequence[int], iterations: Any, dtype: str) -> None:
        # No state of Keras' kind: a variable can't be made inside a compiled step.
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

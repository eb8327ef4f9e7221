"""The start of an epoch in every loop: the order of the batches, and the seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:  # a loop does not import data or backends
    from dlrun.backends import TrainingBackend
    from dlrun.data.batches import Batches


# A model's attribute: the random state after the last step of a training that ends within an epoch,
# from a loop that draws further numbers before validation.
RANDOM_STATE = "_dlrun_random_state"


def build_metrics(model: keras.Model, train: Batches) -> None:
    """Create the metrics' variables, which Keras creates only when it first sees outputs."""
    inputs, targets, *weights = train[len(train) - 1]
    # A layer or a loss may keep what it has seen.
    state = [(variable, variable.value) for variable in model.variables]
    with keras.StatelessScope(state, collect_losses=True):
        outputs = model(inputs, training=False)
        model.compute_loss(inputs, targets, outputs, *weights, training=False)
        model.compute_metrics(inputs, targets, outputs, *weights)
    model.reset_metrics()
    model._clear_losses()


def tell_length(
    hooks: keras.callbacks.CallbackList, train: Batches, epoch: int, epochs: int
) -> None:
    """Tell the callbacks how many steps an epoch has, and how many epochs there are.

    Args:
        hooks: The callbacks.
        train: The training batches.
        epoch: The one that begins, counted from 0: the last one may have fewer steps.
        epochs: The most epochs that there can be.
    """
    known = {"steps": train.steps_of(epoch), "epochs": train.epochs_within(epochs)}
    if known.items() - (hooks.params or {}).items():
        hooks.set_params({**hooks.params, **known})


class StartEpoch(keras.callbacks.Callback):
    """Makes all random numbers of an epoch a function of seed and epoch."""

    def __init__(self, train: Batches, seed: int, backend: TrainingBackend) -> None:
        super().__init__()
        self._train = train
        self._seed = seed
        self._backend = backend
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Draw the order of the batches, and seed every generator of a layer."""
        self._epoch = epoch
        self._train.start_epoch(epoch)
        states = [v for v in self.model.variables if v.path.endswith("seed_generator_state")]
        for number, state in enumerate(states):
            sequence = np.random.SeedSequence([self._seed, epoch, number])
            state.assign(sequence.generate_state(2).astype(state.dtype))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Seed the framework's own generator; not earlier, as torch's data loader draws from it."""
        if batch == 0:
            [native] = np.random.SeedSequence([self._seed, self._epoch]).generate_state(1)
            self._backend.seed_epoch(int(native))

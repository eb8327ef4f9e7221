"""``fit`` with dlrun's order and random numbers: the same on every backend."""

import numpy as np
import pytest

from dlrun.data.batches import permutation
from trainings import BACKENDS, worker

SCRIPT = """
import keras
import numpy as np
from dlrun.data.batches import Batches
from dlrun.data.dataset import Dataset, Split
from dlrun.loops.fit import fit
from dlrun.loops.training import Training
from dlrun.models.mnist_mlp import mnist_mlp

def train(model, split, batch_size, *, seed, callbacks=()):
    data = Dataset(split, split, split, 10)
    train = Batches(data, split, batch_size, seed=seed)
    return fit(Training(model, train, None, 3, seed, list(callbacks), backend))

class Weights(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(float(self.model.get_weights()[0][0, 0]))

# One weight and one sample per step: each step moves it halfway to the sample's label.
def order(seed):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.25), loss="mse")
    weights = Weights()
    split = Split(np.ones((12, 1), np.float32), np.arange(12, dtype=np.uint8))
    train(model, split, 1, seed=seed, callbacks=[weights])
    return weights.seen

generator = np.random.default_rng(0)
digits = Split(
    generator.random((640, 8, 8), np.float32), generator.integers(0, 10, 640).astype(np.uint8)
)

def losses():
    model = mnist_mlp((8, 8), 10, units=32)
    same = np.random.default_rng(1)
    model.set_weights([same.normal(0, 0.1, w.shape) for w in model.get_weights()])
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return train(model, digits, 64, seed=0)["loss"]

# With a learning rate of 0, only the dropout differs between epochs.
def dropout(seed):
    model = keras.Sequential(
        [keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dropout(0.5),
         keras.layers.Dense(10, kernel_initializer=keras.initializers.RandomNormal(seed=3))]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return train(model, digits, 64, seed=seed)["loss"]

found.update({
    "order": order(0), "other order": order(5), "losses": losses(),
    "dropout": [dropout(0), dropout(0), dropout(1)],
})
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the script finds on each backend."""
    place = tmp_path_factory.mktemp("fit")
    return {backend: worker(backend).run(place, SCRIPT) for backend in BACKENDS}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("key", "seed"), [("order", 0), ("other order", 5)])
def test_the_order_of_samples_is_a_function_of_seed_and_epoch(seen, backend, key, seed):
    weight, expected = 0.0, []
    for epoch in range(3):
        for label in permutation(seed, epoch, 12):
            weight += (label - weight) / 2
        expected.append(weight)
    assert len(set(expected)) == 3  # else the test would not notice one order for all epochs
    assert seen[backend][key] == pytest.approx(expected, rel=1e-6)


def test_losses_from_the_same_weights_are_the_same_on_every_backend(seen):
    losses = np.array([seen[backend]["losses"] for backend in BACKENDS])
    assert (losses[:, -1] < losses[:, 0]).all()
    np.testing.assert_allclose(losses, losses[:1].repeat(3, axis=0), rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout_is_a_function_of_seed_and_epoch(seen, backend):
    first, again, other = seen[backend]["dropout"]
    assert first == again
    assert len(set(first)) == 3
    assert not set(first) & set(other)


@pytest.mark.parametrize("loop", ["fit", "train_step"])
def test_several_steps_in_one_call_are_refused_where_keras_takes_one(dlrun, loop):
    words = ("train", f"loop={loop}", "backend=torch", "loop.steps_per_execution=4")
    done = dlrun.here(*words)
    assert done.returncode == 2
    assert "Keras' fit() takes one batch per call" in done.stderr
    assert not list(dlrun.cwd.glob("runs/*/*"))

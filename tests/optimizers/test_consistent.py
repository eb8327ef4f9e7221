"""What every optimizer does alike on all backends and in all loops, against NumPy in float64."""

import numpy as np
import pytest

from dlrun.checkpoints.format import read_checkpoint
from dlrun.data.batches import permutation
from trainings import BACKENDS, worker

LOOPS = ("fit", "train_step", "raw")
RATE, DECAY, AVERAGED, EVERY, ACCUMULATED, WARMUP = 0.05, 0.3, 0.8, 3, 2, 4
SAMPLES, BATCH_SIZE, EPOCHS, SEED = 70, 10, 4, 5
# A linear map with a weight that no loss reaches. All weights start at 0.5.
NET = """
import keras

class Head(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 1), initializer=half())
        self.bias = self.add_weight(name="bias", shape=(1,), initializer=half())
        self.spare = self.add_weight(name="spare", shape=(3,), initializer=half())

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel) + self.bias

def half():
    return keras.initializers.Constant(0.5)

def net(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, Head(name="head")(inputs))
"""
OVERRIDES = (
    "data=npz", "data.path=mine.npz", "data.num_classes=1", "data.validation_samples=10",
    "task=regression", "model._target_=my_net.net", "~model.units",
    "optimizer=sgd", f"optimizer.learning_rate={RATE}", f"optimizer.weight_decay={DECAY}",
    "optimizer.exclude_from_weight_decay=[bias]",
    f"+optimizer.gradient_accumulation_steps={ACCUMULATED}",
    "+optimizer.use_ema=true", f"+optimizer.ema_momentum={AVERAGED}",
    f"+optimizer.ema_overwrite_frequency={EVERY}",
    "schedule=warmup_cosine", "schedule.unit=steps", f"schedule.warmup={WARMUP}",
    f"epochs={EPOCHS}", f"batch_size={BATCH_SIZE}", f"seed={SEED}", "~callbacks.early_stopping",
)  # fmt: skip


def rate(update: int) -> float:
    """The learning rate of an update, counted from 0."""
    updates = EPOCHS * np.ceil((SAMPLES - 10) / BATCH_SIZE) / ACCUMULATED
    if update < WARMUP:
        return RATE * update / WARMUP
    done = min(1.0, (update - WARMUP) / (updates - WARMUP))
    return RATE * 0.5 * (1 + np.cos(np.pi * done))


def expected(inputs: np.ndarray, labels: np.ndarray) -> tuple[dict[str, np.ndarray], list[float]]:
    """Weights after training, and the learning rate of the last update of each epoch."""
    weights = {"kernel": np.full(2, 0.5), "bias": np.full(1, 0.5), "spare": np.full(3, 0.5)}
    average = {name: value.copy() for name, value in weights.items()}
    sums, batches, update, rates = None, 0, 0, []
    for epoch in range(EPOCHS):
        order = permutation(SEED, epoch, len(labels))
        for first in range(0, len(labels), BATCH_SIZE):
            chosen = order[first : first + BATCH_SIZE]
            error = inputs[chosen] @ weights["kernel"] + weights["bias"] - labels[chosen]
            slopes = {
                "kernel": 2 * inputs[chosen].T @ error / len(chosen),
                "bias": np.array([2 * error.mean()]),
                "spare": np.zeros(3),
            }
            sums = slopes if sums is None else {n: sums[n] + slopes[n] for n in sums}
            batches += 1
            if batches % ACCUMULATED:
                continue
            for name, value in weights.items():
                decayed = value - rate(update) * (0 if name == "bias" else DECAY) * value
                changed = decayed - rate(update) * sums[name] / ACCUMULATED
                kept = AVERAGED if update else 0
                average[name] = kept * average[name] + (1 - kept) * changed
                weights[name] = average[name] if (update + 1) % EVERY == 0 else changed
            sums, update = None, update + 1
        rates.append(rate(update - 1))
    return weights, rates


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    place = tmp_path_factory.mktemp("project")
    (place / "my_net.py").write_text(NET)
    numbers = np.random.default_rng(0)
    inputs = numbers.normal(size=(SAMPLES + 10, 2)).astype("float32")
    labels = (inputs @ [1.0, -2.0] + 0.3).astype("float32")
    np.savez(
        place / "mine.npz",
        x_train=inputs[:SAMPLES],
        y_train=labels[:SAMPLES],
        x_test=inputs[SAMPLES:],
        y_test=labels[SAMPLES:],
    )
    return place, inputs, labels


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_schedule_average_decay_and_unreached_weights_under_accumulation(project, backend, loop):
    place, inputs, labels = project
    result = worker(backend).train(place, *OVERRIDES, f"loop={loop}")
    saved = read_checkpoint(result["path"] / "checkpoints" / f"epoch-{EPOCHS:04}")
    weights = {v.path.rpartition("/")[2]: v.value.ravel() for v in saved.model}
    trained = slice(10, SAMPLES)  # the first ten are for validation
    expect, rates = expected(inputs[trained].astype("float64"), labels[trained].astype("float64"))
    for name, value in expect.items():
        assert weights[name] == pytest.approx(value, rel=2e-6), name
    assert [row["learning_rate"] for row in result["rows"]] == pytest.approx(rates, rel=1e-5)

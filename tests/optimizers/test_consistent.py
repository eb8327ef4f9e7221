"""What every optimizer does alike on all backends and in all loops, against NumPy in float64."""

import numpy as np
import pytest

from conftest import in_turn, slow_on
from dlrun.checkpoints.format import read_checkpoint
from dlrun.data.batches import permutation
from trainings import BACKENDS, Refused, worker

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


@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, LOOPS))
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


# Weights after zero gradients under decay, and after real ones, of two layers of one model.
STEPS = """
import keras, numpy as np
from dlrun.optimizers.exclusion import exclude_weights

def trained(name, gradients, exclude=None, own=None, **arguments):
    body, head = keras.layers.Dense(2, name="body"), keras.layers.Dense(2, name="head")
    model = keras.Sequential([keras.Input((2,)), body, head])
    for weight in model.weights:
        weight.assign(np.ones(weight.shape))
    optimizer = backend.adapt_optimizer(getattr(keras.optimizers, name)(**arguments))
    if exclude is not None:
        spec = {"_target_": "keras.optimizers", "exclude_from_weight_decay": exclude}
        exclude_weights(optimizer, spec, model.trainable_variables)
    if own is not None:
        optimizer.exclude_from_weight_decay(var_names=own)
    optimizer.build(model.trainable_variables)
    for gradient in gradients:
        given = [keras.ops.convert_to_tensor(np.full(w.shape, gradient, "float32"))
                 for w in model.trainable_variables]
        given[1] = None if gradient == 0 else given[1]  # as of a bias that no loss reaches
        optimizer.apply(given, model.trainable_variables)
    return {w.path.partition("/")[2]: float(keras.ops.convert_to_numpy(w.value).ravel()[0])
            for w in model.trainable_variables}

decay = dict(weight_decay=0.3, learning_rate=0.01)
zeros = [0.0] * 5
found["none"] = trained("AdamW", zeros, **decay)
found["layer"] = trained("AdamW", zeros, exclude=["head"], **decay)
found["weight"] = trained("SGD", zeros, exclude=["body/bias", "head/kernel"], **decay)
found["own"] = trained("SGD", zeros, own=["head"], **decay)
found["all"] = trained("SGD", zeros, exclude=["body", "head"], **decay)
found["muon"] = trained("Muon", zeros, exclude=["head"], adam_weight_decay=0.3, **decay)
found["small"] = trained("SGD", [0.0] * 200, weight_decay=1e-4, learning_rate=5e-3)
gradients = [float(g) for g in np.random.default_rng(0).normal(size=20)]
found["nadam"] = trained("Nadam", gradients)
found["adamw"] = trained("AdamW", gradients, weight_decay=0.3)
found["schedule_free"] = trained("ScheduleFreeAdamW", gradients, warmup_steps=7, weight_decay=0.3)
"""
NAMES = ("body/kernel", "body/bias", "head/kernel", "head/bias")


def moved(gradients: list[float], *, nesterov: bool, decay: float) -> float:
    """A weight of 1 after Nadam or AdamW, at a learning rate of 0.001."""
    weight, mean, square, product = 1.0, 0.0, 0.0, 1.0
    for step, gradient in enumerate(gradients, 1):
        weight -= 0.001 * decay * weight
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        now, later = (0.9 * (1 - 0.5 * 0.96 ** (step + n)) for n in (0, 1))
        product *= now
        first = later * mean / (1 - product * later) + (1 - now) * gradient / (1 - product)
        first = first if nesterov else mean / (1 - 0.9**step)
        scale = np.sqrt(square / (1 - 0.999**step))
        # Keras' Adam adds epsilon before the bias correction.
        epsilon = 1e-7 if nesterov else 1e-7 / np.sqrt(1 - 0.999**step)
        weight -= 0.001 * first / (scale + epsilon)
    return weight


def schedule_free(gradients: list[float]) -> float:
    """A weight of 1 after ScheduleFreeAdamW as in its paper: steps of z, averaged in x."""
    y = x = z = 1.0
    square = 0.0
    for step, gradient in enumerate(gradients, 1):
        y -= 0.0025 * 0.3 * y  # Keras decays the weight, which is y, before the step
        x = (y - 0.1 * z) / 0.9
        square = 0.999 * square + 0.001 * gradient**2
        rate = 0.0025 * min(step / 7, 1)
        z -= rate * gradient / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        x += (z - x) / step
        y = 0.1 * z + 0.9 * x
    return y


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_decay_and_steps_are_those_of_the_formulas(tmp_path, backend):
    found = worker(backend).run(tmp_path, STEPS)
    decayed = {"": 0.997**5, "excluded": 1.0}
    for case, excluded in {
        "none": (),
        "layer": NAMES[2:],
        "weight": NAMES[1:3],
        "own": NAMES[2:],
        "all": NAMES,
        "muon": NAMES[2:],
    }.items():
        expect = {name: decayed["excluded" if name in excluded else ""] for name in NAMES}
        assert found[case] == pytest.approx(expect, rel=1e-6), case
    assert 1 - found["small"]["head/kernel"] == pytest.approx(200 * 5e-7, rel=0.25)
    gradients = [float(g) for g in np.random.default_rng(0).normal(size=20)]
    for case, decay in (("nadam", 0.0), ("adamw", 0.3)):
        expect = moved(gradients, nesterov=case == "nadam", decay=decay)
        assert found[case]["head/kernel"] == pytest.approx(expect, abs=3e-7), case
    expect = schedule_free(gradients)
    assert found["schedule_free"]["head/kernel"] == pytest.approx(expect, abs=1e-6)


SMALL = ("data.limit=600", "epochs=1")


def test_names_that_exclude_nothing_are_refused(tmp_path):
    for overrides, message in (
        (["optimizer=adamw", "{}=[haed]"], "no weight has 'haed' in its path"),
        (["optimizer=adam", "{}=[bias]"], "no weight decays: optimizer.weight_decay is null"),
        (["optimizer=adamw", "{}=bias"], r"expected a list, as in \[bias\], got 'bias'"),
        (["optimizer=optax_adamw", "+{}=[bias]"], "is for optimizers of Keras"),
    ):
        key = "optimizer.exclude_from_weight_decay"
        with pytest.raises(Refused, match=message) as caught:
            worker("jax").train(tmp_path, *SMALL, *[line.format(key) for line in overrides])
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_adafactor_on_inputs_that_are_always_zero_says_why_it_fails(tmp_path, backend):
    trained = worker(backend).train(tmp_path, *SMALL, "optimizer=adafactor")  # MNIST's border
    assert np.isfinite(trained["test"]["loss"])
    with pytest.raises(Refused, match="is nan") as caught:
        worker(backend).train(tmp_path, *SMALL, "optimizer=adafactor", "optimizer.epsilon_1=0")
    assert "divides 0 by 0 where gradients are always 0" in caught.value.hint
    assert "optimizer.epsilon_1=1e-16" in caught.value.hint
    assert caught.value.exit_code == 1

"""Embeddings whose tokens occur several times in a batch: on each backend the same updates."""

import functools

import numpy as np
import pytest

from trainings import BACKENDS, worker

# The updates of an embedding from a gradient that lists row 1 twice, and from the same as a tensor.
APPLIED = """
import keras, numpy as np, tensorflow as tf
from dlrun.optimizers.repeated_rows import DENSE_ROWS

kinds = {name.lower(): getattr(keras.optimizers, name) for name in (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lamb", "Lion", "Muon",
    "Nadam", "RMSprop", "SGD")}
options = {"plain": {}, "clipnorm": {"clipnorm": 0.5}, "global_clipnorm": {"global_clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.5}, "ema": {"use_ema": True, "ema_momentum": 0.5},
    "weight_decay": {"weight_decay": 0.1}, "accumulation": {"gradient_accumulation_steps": 2}}
values = np.array([[1, -2], [3, 1], [-1, 2], [2, 2]], "float32")
indices = [1, 3, 1, 0]

def moved(optimizer, rows, dense, compiled):
    table, other = (keras.Variable(np.full(shape, 0.5, "float32"), name=name)
        for name, shape in (("embeddings", (rows, 2)), ("kernel", (2,))))
    optimizer.build([table, other])
    def step(scale):
        gradient = tf.IndexedSlices(values * scale, tf.constant(indices), tf.constant([rows, 2]))
        if dense:
            gradient = tf.convert_to_tensor(gradient)
        optimizer.apply([gradient, tf.constant([0.1, -0.2]) * scale])
    if compiled:
        step = tf.function(step, jit_compile=True)
    for scale in (1.0, -0.5, 2.0, 0.25):
        step(tf.constant(scale))
    optimizer.finalize_variable_values([table, other])
    return [table.value.numpy()[:4], other.value.numpy()]

large = DENSE_ROWS + 1
cases = [(kind, option, 4, False) for kind in kinds for option in options]
cases += [(kind, "global_clipnorm", large, False) for kind in kinds]
cases += [("adam", "plain", rows, True) for rows in (4, large)]
for kind, option, rows, compiled in cases:
    if kind == "muon" and rows == large:
        continue  # it has no use for a table: 30 s
    ours = backend.adapt_optimizer(kinds[kind](0.1, **options[option]))
    theirs = kinds[kind](0.1, **options[option])
    ours, theirs = (moved(optimizer, rows, dense, compiled)
        for optimizer, dense in ((ours, False), (theirs, True)))
    found[f"{kind} {option} {rows} {compiled}"] = float(
        max(np.max(np.abs(a - b)) for a, b in zip(ours, theirs)))
"""
TEXT = """
import keras

def {name}(input_shape, num_classes):
    layers = keras.layers
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Embedding({rows}, 8, mask_zero=True),
        {pool},
        layers.Dense(num_classes),
    ])
"""
MODELS = {
    "pooled": (50, "layers.GlobalAveragePooling1D()"),
    "recurrent": (50, "layers.LSTM(8)"),
    "large": (40_000, "layers.GlobalAveragePooling1D()"),
}
PAIRS = [
    pytest.param(loop, model, marks=[] if (loop, model) == ("raw", "pooled") else pytest.mark.slow)
    for loop in ("fit", "train_step", "raw")
    for model in MODELS
]
DATA = (
    "data=npz",
    "data.path=texts.npz",
    "data.num_classes=2",
    "data.validation_samples=64",
    "batch_size=32",
)


@pytest.mark.slow
def test_a_row_that_occurs_twice_gets_one_gradient_under_each_optimizer(tmp_path):
    differences = worker("tensorflow").run(tmp_path, APPLIED)
    assert len(differences) > 100
    assert {name: d for name, d in differences.items() if not d <= 1e-5} == {}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with texts of tokens that repeat, 0 being padding, and models of them."""
    place = tmp_path_factory.mktemp("texts")
    random = np.random.default_rng(0)
    tokens = random.zipf(1.5, (400, 12)).clip(max=49)
    tokens[np.arange(12) >= random.integers(1, 13, (400, 1))] = 0
    labels = (tokens == 1).sum(1) > (tokens == 2).sum(1)
    arrays = {"x_train": tokens[:320], "y_train": labels[:320].astype(int)}
    arrays |= {"x_test": tokens[320:], "y_test": labels[320:].astype(int)}
    np.savez(place / "texts.npz", **arrays)
    (place / "configs" / "model").mkdir(parents=True)
    for name, (rows, pool) in MODELS.items():
        (place / f"{name}_model.py").write_text(TEXT.format(name=name, rows=rows, pool=pool))
        target = f"_target_: {name}_model.{name}\n"
        (place / "configs" / "model" / f"{name}.yaml").write_text(target)
    return place


@pytest.fixture(scope="module")
def losses(place):
    """The losses of a training from the weights that a run on jax has made."""

    def train(backend, model, *overrides):
        return worker(backend).train(place, *DATA, f"model={model}", "epochs=3", *overrides)

    begun = functools.cache(lambda model: train("jax", model)["run_dir"])

    def losses(backend, model, *overrides):
        rows = train(backend, model, f"init_from={begun(model)}", *overrides)["rows"]
        return [row[name] for row in rows for name in ("loss", "val_loss")]

    return losses


@pytest.mark.parametrize(("loop", "model"), PAIRS)
def test_a_text_model_has_the_losses_of_jax_on_tensorflow_and_torch(losses, loop, model):
    expected = losses("jax", model, f"loop={loop}")
    for backend in BACKENDS[1:]:
        assert losses(backend, model, f"loop={loop}") == pytest.approx(expected, rel=1e-5)


def test_a_clipped_gradient_has_the_norm_of_the_summed_rows(losses):
    clipped = ("optimizer=sgd", "optimizer.learning_rate=1", "+optimizer.global_clipnorm=0.05")
    expected = losses("jax", "pooled", *clipped)
    assert losses("tensorflow", "pooled", *clipped) == pytest.approx(expected, rel=1e-5)

"""Convolutions on jax: XLA computes them on one thread where they are in a loop on a CPU."""

import pytest

from trainings import worker

SMALL = """
import keras

def small_convnet(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Reshape((*input_shape, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(num_classes),
    ])
"""

LOOKED_AT = """
import jax
from dlrun.backends.jax import _convolves

def convolution(x):
    return jax.lax.conv(x, x[:, :, :3, :3], (1, 1), "VALID").sum()

def chosen(x):
    return jax.lax.cond(x.sum() > 0, jax.jit(convolution), lambda x: x.sum(), x)

x = jax.numpy.ones((2, 2, 8, 8))
for name, f in {
    "convolution": convolution,
    "its gradient": jax.jit(jax.grad(convolution)),
    "a branch": chosen,
    "a product": lambda x: jax.numpy.tanh(x @ x).sum(),
}.items():
    found[name] = _convolves(jax.make_jaxpr(f)(x).jaxpr)
"""


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    place = tmp_path_factory.mktemp("convolutions")
    (place / "my_models.py").write_text(SMALL)
    (place / "configs" / "model").mkdir(parents=True)
    (place / "configs" / "model" / "small.yaml").write_text("_target_: my_models.small_convnet\n")

    def train(*overrides):
        return worker("jax").train(
            place, "model=small", "data.limit=600", "batch_size=50", "epochs=1", *overrides
        )

    return train


def test_raw_takes_the_steps_of_fit(train):
    expected = train("loop=fit")["rows"][0]
    found = train("loop=raw")["rows"][0]
    for name in ("loss", "val_loss"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5)


def test_the_rate_is_that_of_steps_computed_and_not_of_steps_asked_for(train):
    """XLA is told of some 30 steps before it has computed one."""
    result = train("loop=fit", "data.feed=numpy")
    steps = 600 // 50
    in_steps = result["seconds"]["train"] - result["seconds"]["first_step"]
    assert result["step_seconds"] * (steps - 1) > 0.2 * in_steps


def test_convolutions_are_found_wherever_they_are(tmp_path):
    found = worker("jax").run(tmp_path, LOOKED_AT)
    assert found == {
        "convolution": True,
        "its gradient": True,
        "a branch": True,
        "a product": False,
    }

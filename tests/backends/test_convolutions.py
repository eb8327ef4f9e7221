"""Convolutions on a CPU: XLA computes them on one thread inside a loop."""

import pytest

from conftest import slow_on
from trainings import worker

SMALL = """
import keras

def small_convnet(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Reshape((*input_shape, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(num_classes),
    ])
"""

PLANS_SCRIPT = """
import keras
import numpy as np

class Hidden(keras.layers.Layer):
    def call(self, inputs):
        kernel = keras.ops.ones((3, 3, 1, 2))
        outputs = keras.ops.conv(inputs, kernel)
        return keras.ops.cond(keras.ops.sum(inputs) > 0, lambda: outputs, lambda: -outputs)

images = np.ones((2, 8, 8, 1), "float32")
models = {
    "a layer": [keras.layers.Conv2D(2, 3)],
    "an operation": [Hidden()],
    "none": [keras.layers.Flatten(), keras.layers.Dense(2)],
}
for name, layers in models.items():
    model = keras.Sequential(layers)
    model(images)
    for compile in backend.COMPILES:
        found[f"{name}, {compile}"] = backend.plan_raw(model, images, compile)
"""


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    place = tmp_path_factory.mktemp("convolutions")
    (place / "my_models.py").write_text(SMALL)
    (place / "configs" / "model").mkdir(parents=True)
    (place / "configs" / "model" / "small.yaml").write_text("_target_: my_models.small_convnet\n")

    def train(backend, *overrides):
        return worker(backend).train(
            place, "model=small", "data.limit=600", "batch_size=50", *overrides
        )

    return train


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_raw_trains_like_fit(train, backend):
    expected = train(backend, "epochs=1", "loop=fit")["rows"][0]
    actual = train(backend, "epochs=1", "loop=raw")["rows"][0]
    for name in ("loss", "val_loss"):
        assert actual[name] == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.slow  # it compiles the loop that is avoided
def test_several_steps_per_call_equal_single_steps(train):
    one, several = (
        train("jax", "epochs=1", "loop=raw", f"loop.steps_per_execution={number}")["rows"][0]
        for number in (1, 5)
    )
    assert several["loss"] == one["loss"]


def test_the_rate_counts_computed_steps_not_dispatched_ones(train):
    """About 30 steps are dispatched before XLA has computed one."""
    more = ("loop=fit", "feed=numpy", "data.validation_samples=50", "epochs=2")
    result = train("jax", *more)
    # The second epoch compiles nothing, so its steps take most of its time.
    assert result["step_seconds"] * 600 / 50 > 0.3 * result["rows"][1]["seconds"]


@pytest.mark.parametrize(
    ("backend", "with_convolutions", "without"),
    [
        (
            "jax",
            {"auto": ["step", 1], "xla": ["step", 1], "eager": ["eager", 1]},
            {"auto": ["scan", 32], "xla": ["scan", 32], "eager": ["eager", 1]},
        ),
        (
            "tensorflow",
            {"auto": ["graph", 16], "xla": ["xla", 1], "graph": ["graph", 16]},
            {"auto": ["xla", 16], "xla": ["xla", 16], "graph": ["graph", 16]},
        ),
    ],
)
def test_on_a_cpu_convolutions_are_not_compiled_in_a_loop(
    tmp_path, backend, with_convolutions, without
):
    found = worker(backend).run(tmp_path, PLANS_SCRIPT)
    for compile, plan in with_convolutions.items():
        for model in ("a layer", "an operation"):
            assert found[f"{model}, {compile}"] == plan
    for compile, plan in without.items():
        assert found[f"none, {compile}"] == plan

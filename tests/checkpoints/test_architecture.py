"""A checkpoint does not load into a model whose code was edited."""

import pytest

from conftest import slow_on
from trainings import BACKENDS, Refused, worker

pytestmark = pytest.mark.trains

SEQUENTIAL = """
import keras
from keras import layers

def mine(input_shape, num_classes):
    return keras.Sequential([
        layers.Reshape((*input_shape, 1)),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        layers.MaxPooling2D(2), layers.Flatten(), layers.Dropout(0.2), layers.Dense(num_classes),
    ])
"""
FUNCTIONAL = """
import keras
from keras import layers

def mine(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = layers.Reshape((*input_shape, 1))(inputs)
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    x = layers.Dropout(0.2)(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    return keras.Model(inputs, layers.Dense(num_classes, name="logits")(x))
"""
SUBCLASSED = """
import keras
from keras import layers

class Block(layers.Layer):
    def __init__(self, units, activation):
        super().__init__()
        self.dense = layers.Dense(units)
        self.activation = keras.activations.get(activation)

    def call(self, x):
        return self.activation(self.dense(x))

class mine(keras.Model):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.flatten = layers.Flatten()
        self.blocks = [Block(8, keras.activations.relu), Block(num_classes, "linear")]

    def call(self, x):
        x = self.flatten(x)
        for block in self.blocks:
            x = block(x)
        return x
"""


def write(cwd, source):
    (cwd / "configs" / "model").mkdir(parents=True)
    (cwd / "my_models.py").write_text(source)
    (cwd / "configs" / "model" / "mine.yaml").write_text("# Mine.\n_target_: my_models.mine\n")
    return cwd


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run of each source, on jax."""
    paths = {}
    for source in (SEQUENTIAL, SUBCLASSED):
        cwd = write(tmp_path_factory.mktemp("made"), source)
        overrides = ("model=mine", "data.limit=256", "epochs=1")
        paths[source] = worker("jax").train(cwd, *overrides)["path"]
    return paths


@pytest.mark.parametrize(
    ("source", "old", "new", "message"),
    [
        (SEQUENTIAL, '"relu"', '"tanh"', "activation=tanh, the checkpoint relu"),
        (SEQUENTIAL, "strides=2", "strides=1, dilation_rate=2", "strides=[1, 1], the checkpoint"),
        (SEQUENTIAL, "MaxPooling2D", "AveragePooling2D", "where the checkpoint has MaxPooling2D ("),
        (SEQUENTIAL, "layers.Dropout(0.2), ", "", "has nothing where the checkpoint has Dropout ("),
        (SUBCLASSED, "activations.relu", "activations.gelu", "activation=gelu, the checkpoint rel"),
        (SUBCLASSED, "layers.Flatten()", "layers.Reshape((-1,))", "the model has Reshape ("),
    ],
)
def test_an_edited_model_is_refused_with_the_difference(runs, tmp_path, source, old, new, message):
    assert old in source
    edited = source.replace(old, new)
    if "strides=1" in new:  # a larger pooling keeps all shapes
        edited = edited.replace("MaxPooling2D(2)", "MaxPooling2D(4)")
    with pytest.raises(Refused) as caught:
        worker("jax").evaluate(write(tmp_path, edited), runs[source])
    assert f"{runs[source].parent.name}" in caught.value.message
    assert "is of another model" in caught.value.message
    assert message in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_names_nesting_and_backend_are_not_compared(runs, tmp_path, backend):
    place = write(tmp_path, FUNCTIONAL)
    assert worker(backend).evaluate(place, runs[SEQUENTIAL])["samples"] == 256
    (place / "again").mkdir()
    again = write(place / "again", SUBCLASSED)
    assert worker(backend).evaluate(again, runs[SUBCLASSED])["samples"] == 256


NAN = """
import json, math
import keras
from dlrun.checkpoints.architecture import describe, differences

class Fill(keras.layers.Layer):
    def __init__(self, values, **kwargs):
        super().__init__(**kwargs)
        self.values = values
    def get_config(self):
        return {**super().get_config(), "values": self.values}

def of(values):
    layers = describe(keras.Sequential([keras.Input((4,)), Fill(values, name="fill")]))
    return json.loads(json.dumps(layers))  # as a checkpoint has them

nan = math.nan
found["same"] = [*differences(of(nan), of(nan)), *differences(of([1, [nan]]), of([1.0, [nan]]))]
found["other"] = [differences(of(a), of(b)) for a, b in ((nan, 0.0), (0.0, nan), ([nan], [nan, 1]))]
"""


def test_a_setting_that_is_nan_is_no_difference(tmp_path):
    found = worker("jax").run(tmp_path, NAN)
    assert found["same"] == []
    assert found["other"][0][0].endswith("fill has values=nan, the checkpoint 0.0")
    assert all(found["other"])


OPTIMIZERS = """
import keras
from dlrun.checkpoints.architecture import describe, differences

keras.config.set_dtype_policy("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])

def compare(optimizer, saved):
    return differences(describe(model, optimizer), describe(model, saved))

adam, adamax = keras.optimizers.Adam(), keras.optimizers.Adamax()
scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
found["other"] = compare(adam, adamax)
found["same"] = compare(adam, keras.optimizers.Adam(0.1)) + compare(adam, scaled)
found["same"] += compare(None, adamax)
if keras.backend.backend() == "torch":
    from dlrun.optimizers.fused_adam import FusedAdam
    found["same"] += compare(FusedAdam(), adam)
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_optimizer_is_a_difference_if_both_have_one(tmp_path, backend):
    found = worker(backend).run(tmp_path, OPTIMIZERS)
    assert found["other"] == ["the optimizer is Adam, the checkpoint's Adamax"]
    assert found["same"] == []

"""Which models are called in parts, one for each device."""

from contextlib import closing

import pytest

from conftest import slow
from spreads import write_net
from trainings import Refused, Worker, worker

LAYERS = """
import keras

class Centre(keras.layers.Layer):
    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, axis=0)

class Running(keras.layers.Layer):
    def build(self, shape):
        self.mean = self.add_weight(name="mean", shape=shape[1:], trainable=False)

    def call(self, inputs, training=False):
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * keras.ops.mean(inputs, axis=0))
        return inputs

class Count(keras.layers.Layer):
    def build(self, shape):
        self.seen = self.add_weight(name="seen", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.seen.assign(self.seen + 1)
        return inputs

def net(input_shape, num_classes, kind):
    layers = [keras.layers.Dense(8), globals()[kind](name="own"), keras.layers.Dense(num_classes)]
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), *layers])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = write_net(tmp_path_factory.mktemp("layers"))
    (folder / "my_layers.py").write_text(LAYERS)
    (folder / "configs/model/layers.yaml").write_text("_target_: my_layers.net\n")
    return folder


@pytest.mark.trains
@pytest.mark.parametrize(
    ("backend", "kind", "said"),
    [
        ("tensorflow", "Centre", "whose outputs of a sample depend on the others of its batch"),
        slow("torch", "Running", "keeps in sequential/own/mean what it finds in a batch"),
    ],
)
def test_a_layer_that_spans_a_batch_is_refused(place, backend, kind, said):
    words = "model=layers", f"+model.kind={kind}", "data=sklearn", "data.name=digits", "epochs=1"
    spread = "distribution=data_parallel", "device.count=2", "device=cpu", "data.limit=100"
    # One of its own, as the devices of TensorFlow are counted once in a process.
    with (
        closing(Worker(backend)) as own,
        pytest.raises(Refused, match=f"{said} computes on one device"),
    ):
        own.train(place, *words, *spread)


@pytest.mark.trains
@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_layers_that_span_a_batch_are_found_and_a_model_is_as_it_was(place, backend):
    found = worker(backend).run(
        place,
        LAYERS
        + """
import numpy as np
from dlrun import backends
from dlrun.backends._spread_layers import check_samples
from dlrun.errors import DlrunError

backend = backends.module(keras.backend.backend())

def state(model):
    values = [keras.ops.convert_to_numpy(v.value) for v in model.variables]
    return [np.array(value) for value in (*values, *backend.random_state())]

class Inner(keras.layers.Layer):
    def call(self, inputs, training=False):
        return Centre()(inputs) if training else inputs

class Plain(keras.Model):  # as many subclassed models, whose layers know whether they train
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        assert keras.ops.is_tensor(inputs)
        return self.layer(inputs)

first, layers = keras.Input((4, 3)), keras.layers
samples = np.random.rand(3, 4, 3).astype("f")
samples[:2] = 0
noise = [layers.Dropout(0.5), layers.GaussianNoise(1), layers.LSTM(3, recurrent_dropout=0.5)]
kept = [layers.BatchNormalization(), layers.SpectralNormalization(layers.Dense(3)), Count()]
found["said"], found["same"] = [], []
sequences = [*noise, *kept], [Centre(), *noise], [Running(name="own"), *noise]
plain = Plain(layers.Dense(2)), Plain(Inner())
for model in (*(keras.Sequential([first, *own]) for own in sequences), *plain):
    model(samples)
    before = state(model)
    try:
        check_samples(model, samples, backend)
        found["said"].append("nothing")
    except DlrunError as error:
        found["said"].append(error.message)
    found["same"].append(all(map(np.array_equal, before, state(model))))
""",
    )
    nothing, outputs, state, plain, inner = found["said"]
    assert nothing == plain == "nothing"
    for said in (outputs, inner):
        assert "whose outputs of a sample depend on the others" in said
    assert "own/mean what it finds in a batch computes on one device" in state
    assert found["same"] == [True] * 5

"""What a layer computes when it is built has its values, or the layer is refused."""

import pytest

from trainings import BACKENDS, worker

# Beside the outputs of NumPy.
SCRIPT = """
import keras, numpy as np
from dlrun.assembly.model import outputs_of
from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.errors import DlrunError

L = keras.layers

class Net(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def call(self, x):
        return self.inner(x)

class Within(L.Layer):
    def build(self, shape):
        self.inner = L.Normalization(mean=0.5, variance=4.0)
    def call(self, x):
        return self.inner(x)

class Scale(L.Layer):
    def build(self, shape):
        self.factors = 2 * keras.ops.ones(shape[1:])
    def call(self, x):
        return x * self.factors

class Keeps(L.Layer):
    def call(self, x):
        self.last = (x - 0.5) / 2
        return self.last

def functional(layer):
    inputs = keras.Input((3,))
    return keras.Model(inputs, layer(inputs))

spec = InputSpec(ArraySpec((3,), "float32"), ArraySpec((), "int64"), 2)
x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
models = {
    "subclassed": lambda: Net(L.Normalization(mean=0.5, variance=4.0)),
    "in a layer": lambda: functional(Net(Within())),
    "kept by call": lambda: functional(Net(Keeps())),
}
for name, make in models.items():
    model = make()
    outputs_of(model, spec)
    found[name] = float(np.abs(keras.ops.convert_to_numpy(model(x)) - (x - 0.5) / 2).max())
for name, model in {"own": Net(Scale()), "own in a layer": functional(Net(Scale()))}.items():
    try:
        outputs_of(model, spec)
    except DlrunError as error:
        found[name] = error.message
"""


@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
def test_constants_of_a_build_for_shapes_are_computed_again_or_refused(tmp_path, backend):
    found = worker(backend).run(tmp_path, SCRIPT)
    for name in ("subclassed", "in a layer", "kept by call"):
        assert found[name] < 1e-6, name
    for name in ("own", "own in a layer"):
        assert "a Scale, keeps a tensor as 'factors'" in found[name]

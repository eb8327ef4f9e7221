"""What a run keeps of its model."""

import json

import pytest

from trainings import worker

SCRIPT = """
import keras
from dlrun.report.model_graph.layers import record_of

calls = []

class Twice(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        calls.append(1)
        return x * self.scale

class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.twice, self.out = Twice(name="twice"), keras.layers.Dense(3, name="out")

    def build(self, shape):
        self.twice.build(shape)
        self.out.build(shape)
        self.built = True

    def call(self, x):
        return self.out(self.twice(x))

a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
joined = keras.layers.Add(name="joined")([keras.layers.Dense(4, name="left")(a), b])
frozen = keras.layers.Dense(2, name="frozen", trainable=False)
functional = keras.Model([a, b], frozen(Twice(name="twice")(joined)), name="two")
own = Own()
own.build((None, 4))
before = len(calls)
found = {"functional": record_of(functional), "own": record_of(own), "calls": len(calls) - before}
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return worker("jax").run(tmp_path_factory.mktemp("models"), SCRIPT)


def test_a_functional_model_has_layers_parameters_and_a_graph(found):
    record = found["functional"]
    assert {layer["name"]: layer["parameters"] for layer in record["layers"]} == {
        **{"a": 0, "b": 0, "left": 20, "joined": 0, "twice": 1, "frozen": 10}
    }
    assert [record["parameters"], record["trainable_parameters"]] == [31, 21]
    assert record["layers"][-1]["output_shape"] == [None, 2]
    boxes = [box["name"] for box in record["graph"]["boxes"]]
    arrows = {(boxes[start], boxes[end]) for start, end in record["graph"]["arrows"]}
    assert arrows == {
        *(("a", "left"), ("left", "joined"), ("b", "joined")),
        *(("joined", "twice"), ("twice", "frozen")),
    }
    json.dumps(record)


def test_a_model_of_code_has_layers_and_none_of_the_users_code_is_called(found):
    record = found["own"]
    assert found["calls"] == 0
    assert record["graph"] is None
    shapes = {layer["name"]: layer["output_shape"] for layer in record["layers"]}
    assert shapes == {"twice": None, "out": [None, 3]}
    assert record["parameters"] == 16

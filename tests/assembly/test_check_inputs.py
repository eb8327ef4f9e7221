"""Ids that an Embedding does not have, and samples of padding alone, are refused by name."""

import re

import numpy as np
import pytest

from conftest import slow_on
from trainings import BACKENDS, Refused, worker

pytestmark = pytest.mark.trains

# What find_uses says of many models: by layer the values that reach it, and which are limited.
USES = """
import keras, numpy as np
from dlrun.assembly.input_uses import find_uses
from dlrun.data.input_spec import ArraySpec, InputSpec

L, ops = keras.layers, keras.ops

def embedding(name="ids"):
    return L.Embedding(50, 4, name=name)

def graph(change=lambda x: x, dtype=None):
    inputs = keras.Input((6,), dtype=dtype)
    hidden = L.Flatten()(embedding()(change(inputs)))
    return keras.Model(inputs, L.Dense(2)(hidden))

class Subclassed(keras.Model):
    def __init__(self, change=lambda x: x):
        super().__init__()
        self.change, self.ids, self.logits = change, embedding(), L.Dense(2)

    def call(self, x):
        return self.logits(ops.mean(self.ids(self.change(x)), axis=1))

class WithPositions(L.Layer):
    def __init__(self):
        super().__init__()
        self.ids, self.positions = embedding(), embedding("positions")

    def build(self, shape):
        self.ids.build(shape), self.positions.build(shape)

    def compute_output_shape(self, shape):
        return (*shape, 4)

    def call(self, x):
        return self.ids(x) + self.positions(ops.arange(0, 6))

def shared():
    inputs, ids = keras.Input((6,)), embedding()
    return keras.Model(inputs, L.Flatten()(ids(inputs[:, :2]) + ids(inputs[:, 2:4])))

def nested():
    inputs, inner = keras.Input((6,)), graph()
    return keras.Model(inputs, L.Dense(2)(inner(inputs)))

models = {
    "graph": graph(),
    "int32": graph(dtype="int32"),
    "sequential": keras.Sequential([keras.Input((6,)), embedding(), L.Flatten(), L.Dense(2)]),
    "subclassed": Subclassed(),
    "positions": keras.Sequential([keras.Input((6,)), WithPositions(), L.Flatten()]),
    "shared": shared(),
    "nested": nested(),
    "slice": graph(lambda x: x[:, 1:3]),
    "reversed": Subclassed(lambda x: ops.flip(x, axis=1)),
    "prepended": graph(lambda x: ops.pad(x, ((0, 0), (1, 0)))),
    "added to": graph(lambda x: x + 1),
    "modulo": Subclassed(lambda x: x % 50),
    "clipped": graph(lambda x: ops.clip(x, 0, 49)),
    "clipped above": Subclassed(lambda x: ops.minimum(x, 49)),
    "clipped below": graph(lambda x: ops.maximum(x, 0)),
    "no embedding": keras.Sequential([keras.Input((6,)), L.Dense(2)]),
    "masking": keras.Sequential([keras.Input((6,)), L.Reshape((6, 1)), L.Masking(-1.0)]),
}
spec = InputSpec(ArraySpec((6,), "int64"), ArraySpec((), "int64"), 2)
for name, model in models.items():
    if not model.built:
        model(np.zeros((1, 6), "float32"))
    uses = find_uses(model, spec.match(model))
    found[name] = [[u.values.tolist(), u.large is not None, u.negative] for u in uses]
    found[name + " again"] = "call" in vars(model) or len(find_uses(model, spec.match(model)))
"""
WHOLE = (
    "graph", "int32", "sequential", "subclassed", "positions", "nested", "reversed", "prepended",
    "masking",
)  # fmt: skip
EXPECTED = {
    **{name: [[list(range(6)), True, True]] for name in WHOLE},
    **{name: [] for name in ("added to", "modulo", "clipped", "no embedding")},
    "shared": [[[0, 1], True, True], [[2, 3], True, True]],
    "slice": [[[1, 2], True, True]],
    "clipped above": [[list(range(6)), False, True]],
    "clipped below": [[list(range(6)), True, False]],
}

MODULE = """
import keras
import numpy as np
from dlrun.data.dataset import Dataset, Split

L = keras.layers

def data(change="", samples=48, limit=None):
    rng = np.random.default_rng(0)
    words = rng.integers(1, 20, (samples, 4))
    table = rng.integers(0, 9, (samples, 3))
    splits = {}
    for name in ("train", "validation", "test"):
        inputs = {"words": words.copy(), "table": table.copy()}
        if change:
            split, array, row, column, value = change.split(" ")
            if split == name:
                inputs[array][int(row), slice(None) if column == ":" else int(column)] = int(value)
        splits[name] = Split(inputs, (words[:, 0] > 10).astype("int64"))
    return Dataset(**splits, num_classes=2)

class Net(keras.Model):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.words, self.kind = L.Embedding(20, 4, name="of_words"), L.Embedding(9, 4)
        self.logits = L.Dense(num_classes)

    def call(self, inputs):
        words = keras.ops.mean(self.words(inputs["words"]), axis=1)
        return self.logits(words + self.kind(inputs["table"][:, 1]))

def masked(input_shape, num_classes):
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
    words = L.Embedding(20, 4, mask_zero=True, name="of_words")(inputs["words"])
    mean = L.GlobalAveragePooling1D()(words)
    return keras.Model(inputs, L.Dense(num_classes)(L.Concatenate()([mean, inputs["table"]])))

def recurrent(input_shape, num_classes):
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
    words = L.GRU(3)(L.Embedding(20, 4, mask_zero=True)(inputs["words"]))
    return keras.Model(inputs, L.Dense(num_classes)(L.Concatenate()([words, inputs["table"]])))
"""
RUN = (
    "data._target_=my_ids.data", "~data.validation_samples", "~model.units",
    "epochs=1",
)  # fmt: skip


@pytest.mark.parametrize("backend", [*BACKENDS, "numpy"])
def test_values_are_followed_to_the_layers_that_they_reach_unchanged(tmp_path, backend):
    found = worker(backend).run(tmp_path, USES)
    assert {name: uses for name, uses in found.items() if not name.endswith(" again")} == EXPECTED
    assert {n: found[f"{n} again"] for n in EXPECTED} == {n: len(u) for n, u in EXPECTED.items()}


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_ids_are_checked_before_training_evaluation_and_prediction(tmp_path, backend):
    (tmp_path / "my_ids.py").write_text(MODULE)
    backend = worker(backend)

    def train(change, model="Net"):
        change = ("+data.change='" + change + "'",) if change else ()
        return backend.train(tmp_path, *RUN, f"model._target_=my_ids.{model}", *change)

    def refusal(call) -> str:
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.exit_code == 2
        return f"{caught.value.message}; {caught.value.hint}"

    limits = "but the Embedding 'of_words' has input_dim=20: ids from 0 to 19"
    for change, place, value in (
        ("train words 5 2 20", "train.inputs['words'][5, 2]", 20),
        ("validation words 47 0 -1", "validation.inputs['words'][47, 0]", -1),
        (f"test words 0 3 {2**32 + 5}", "test.inputs['words'][0, 3]", 2**32 + 5),
    ):
        assert refusal(lambda c=change: train(c)).startswith(f"data: {place} is {value}, {limits}")
    assert "train.inputs['table'][7, 1] is 9, but" in refusal(lambda: train("train table 7 1 9"))
    assert not list(tmp_path.glob("runs/*"))

    train("train table 7 0 1000")  # a column that no Embedding gets
    run = train("")["path"]
    trusted = {"trusted": ["my_ids"]}
    change = "+data.change='test words 3 1 99'"
    failed = refusal(lambda: backend.evaluate(tmp_path, run, change, **trusted))
    assert failed.startswith("data: test.inputs['words'][3, 1] is 99, but")
    words, table = np.ones((5, 4), "int64"), np.ones((5, 3), "int64")
    words[4, 1] = -7
    np.savez(tmp_path / "new.npz", words=words, table=table)
    script = (
        "from pathlib import Path\nfrom dlrun.api.predict import predict\n"
        "from dlrun.config.project import Project\nfrom dlrun.errors import DlrunError\n"
        f"try:\n    predict({str(run)!r}, ['backend={backend.backend}'], source=Path('new.npz'),"
        " project=Project(trusted=('my_ids',)))\n"
        "except DlrunError as error:\n    found['message'] = error.message\n"
    )
    message = backend.run(tmp_path, script)["message"]
    assert message.startswith("--input new.npz: inputs['words'][4, 1] is -7, but the Embedding")


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_a_sample_of_padding_is_refused_if_the_model_returns_nan_for_it(tmp_path, backend):
    (tmp_path / "my_ids.py").write_text(MODULE)
    change = "+data.change='validation words 11 : 0'"
    with pytest.raises(Refused) as caught:
        worker(backend).train(tmp_path, *RUN, "model._target_=my_ids.masked", change)
    assert re.match(
        r"data: validation.inputs\['words'\]\[11\] is padding alone, 0, which 'of_words' masks",
        caught.value.message,
    )
    # To a recurrent layer, such a sample is one without a step.
    result = worker(backend).train(tmp_path, *RUN, "model._target_=my_ids.recurrent", change)
    assert np.isfinite(result["validation"]["loss"])

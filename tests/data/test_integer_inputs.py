"""Integers that float32 would round reach a model that takes integers as they are."""

import numpy as np
import pytest

from conftest import slow_on
from trainings import BACKENDS, Refused, worker

pytestmark = pytest.mark.trains

# Of integers that differ in their last digits, float32 leaves groups of 64 alike.
FIRST = 2**30 + 1
MODULE = f"""
import keras
import numpy as np
from dlrun.data.dataset import Dataset, Split

class Scale(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return x * self.scale

    def compute_output_shape(self, shape):
        return shape

def last_digits(input_shape, num_classes, *, dtype="int32"):
    inputs = keras.Input(input_shape, dtype=dtype)
    hot = keras.ops.equal(inputs % num_classes, keras.ops.arange(num_classes))
    return keras.Model(inputs, Scale()(9.0 * keras.ops.cast(hot, "float32")))

def data(samples=96, step=1, memory="int64", scale=255.0, limit=None):
    x = (np.arange({FIRST}, {FIRST} + samples) * step).astype(memory)[:, None]
    split = Split(x, x[:, 0].astype("int64") % 5)
    return Dataset(split, split, split, num_classes=5, scale=scale)
"""
RUN = (
    "data._target_=my_integers.data", "~data.validation_samples", "~model.units", "epochs=2",
    "model._target_=my_integers.last_digits", "batch_size=32",
)  # fmt: skip


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_each_loop_and_feed_evaluation_and_prediction_take_every_digit(tmp_path, backend):
    (tmp_path / "my_integers.py").write_text(MODULE)
    backend = worker(backend)
    trusted = {"trusted": ["my_integers"]}
    feed = {"jax": "numpy", "tensorflow": "tf_data", "torch": "torch_dataloader"}[backend.backend]
    for how in ("loop=fit", "loop=train_step", "loop=raw", f"feed={feed}"):
        result = backend.train(tmp_path, *RUN, how)
        accuracies = [row[name] for row in result["rows"] for name in ("accuracy", "val_accuracy")]
        assert {*accuracies, result["test"]["accuracy"]} == {1.0}, how
    run = result["path"]
    assert backend.evaluate(tmp_path, run, "feed=auto", **trusted)["metrics"]["accuracy"] == 1
    new = np.arange(FIRST, FIRST + 50)[::-1, None]
    np.save(tmp_path / "new.npy", new)
    script = (
        "from pathlib import Path\nfrom dlrun.api.predict import predict\n"
        "from dlrun.config.project import Project\n"
        f"predict({str(run)!r}, ['backend={backend.backend}', 'feed=auto'],"
        " project=Project(trusted=('my_integers',)),"
        " source=Path('new.npy'), output=Path('new.npz'))\n"
    )
    backend.run(tmp_path, script)
    with np.load(tmp_path / "new.npz") as predicted:
        assert predicted["labels"].tolist() == (new[:, 0] % 5).tolist()

    limits = "but the model takes int32: -2147483648 to 2147483647"
    with pytest.raises(Refused, match=r"train.inputs\[0, 0\] is 4294967300, " + limits):
        backend.train(tmp_path, *RUN, "+data.step=4")


CHECKS = """
import warnings
import keras, numpy as np
from dlrun.assembly.check_inputs import check_inputs
from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.errors import DlrunError

L = keras.layers

def refusal(model, values, dtype):
    spec = InputSpec(ArraySpec((2,), dtype), ArraySpec((), "int64"), 2).match(model)
    try:
        check_inputs(model, spec, {"--input x.npy: inputs": np.array(values, dtype)})
    except DlrunError as error:
        return error.message.removeprefix("--input x.npy: inputs")

def graph(dtype, change=lambda x: x):
    inputs = keras.Input((2,), dtype=dtype)
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Embedding(9, 4, name="e")(change(inputs)))))

for dtype in ("int32", "int64"):
    found[dtype] = refusal(graph(dtype), [[1, 2], [3, 1.5]], "float32")
found["float"] = refusal(graph("float32"), [[1, 2], [3, 1.5]], "float64")
found["whole"] = refusal(graph("int32"), [[1, 2], [3, 4]], "float64")
found["rounded"] = refusal(graph("float32", keras.ops.floor), [[1, 2], [3, 1.5]], "float32")
inputs = keras.Input((2,), dtype="int32")
numbers = keras.Model(inputs, L.Dense(2)(keras.ops.cast(inputs, "float32")))
found["float64"] = refusal(numbers, [[1, 2], [3, 2.0**24 + 1]], "float64")
found["large"] = refusal(numbers, [[1, 2], [3, 2**31]], "float32")
with warnings.catch_warnings(record=True) as caught:
    graph("int64")(np.ones((1, 2), "int32"))
found["warnings"] = [str(one.message) for one in caught]
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_that_are_no_integers_are_refused_where_a_model_takes_integers(tmp_path, backend):
    found = worker(backend).run(tmp_path, CHECKS)
    assert found["int32"] == found["int64"] == "[1, 1] is 1.5, but the model takes integers"
    assert found["float"] == "[1, 1] is 1.5, but the Embedding 'e' takes ids, which are whole"
    assert found["whole"] is found["rounded"] is None
    assert found["float64"].startswith("[1, 1] is 16777217.0, which float32 rounds")
    assert found["large"].startswith("[1, 1] is 2147483648.0, but the model takes int32")
    assert found["warnings"] == []

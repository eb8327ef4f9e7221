"""Integers that float32 would round reach a model that takes integers as they are."""

import numpy as np
import pytest

from trainings import BACKENDS, Refused, worker

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


@pytest.mark.parametrize("backend", BACKENDS)
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
        f"predict({str(run)!r}, ['backend={backend.backend}', 'feed=auto'],"
        " trusted=['my_integers'], source=Path('new.npy'), output=Path('new.npz'))\n"
    )
    backend.run(tmp_path, script)
    with np.load(tmp_path / "new.npz") as predicted:
        assert predicted["labels"].tolist() == (new[:, 0] % 5).tolist()

    with pytest.raises(Refused, match=r"train.inputs\[0, 0\] is 4294967300") as caught:
        backend.train(tmp_path, *RUN, "+data.step=4")
    assert caught.value.hint == "inputs must fit in int32"

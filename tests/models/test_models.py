"""The shipped models: their parameters, and that each learns on each backend."""

import pytest

from conftest import in_turn, slow_on
from trainings import BACKENDS, Refused, worker

# The number of parameters as printed in the books, or as the sum of the layers.
PARAMETERS = {
    "mnist_mlp": 407_050,
    "mnist_subclassed": 260_298,
    "simple_dense": 784 * 32 + 32 + 32 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10,
    "mixed_functional": 50_890,
    "mnist_mlp_dropout": 407_050,
    "mnist_convnet": 260_298,
    "mixed_subclassed": 257,
    "text_attention": 200 * 16 + 4 * (16 * 16 + 16) + 2 * 16 + 16 * 2 + 2,
    "mnist_separable": 1 * 3 * 3 + 16 + 3 * 3 * 16 + 2 * 4 * 16 + 6 * 6 * 16 * 10 + 10,
    "text_lstm": 200 * 16 + 4 * (16 + 16 + 1) * 16 + 16 * 2 + 2,
    "text_average": 200 * 16 + 16 * 2 + 2,
}


# Torch, which compiles nothing, has the convolutions in turn; the next test has them on all.
@pytest.mark.parametrize(("backend", "model"), in_turn(BACKENDS, list(PARAMETERS)))
def test_each_model_trains_on_each_backend_and_can_be_loaded(tmp_path, backend, model):
    small = ("data.limit=96", "batch_size=32", "epochs=1")
    result = worker(backend).train(tmp_path, f"model={model}", *small)
    assert result["parameters"] == PARAMETERS[model]
    evaluated = worker(backend).evaluate(tmp_path, result["path"])
    assert evaluated["metrics"]["loss"] == pytest.approx(result["test"]["loss"], abs=1e-5)


@pytest.mark.parametrize(
    "model", slow_on("mnist_subclassed", of=("mnist_convnet", "mnist_subclassed"))
)
def test_convolutions_agree_on_every_backend(tmp_path, model):
    small = ("data.limit=64", "batch_size=32", "epochs=1")
    run = worker("jax").train(tmp_path, f"model={model}", *small)["path"]
    losses = [
        worker(backend).evaluate(tmp_path, run)["metrics"]["loss"]
        for backend in (*BACKENDS, "numpy")
    ]
    assert max(losses) - min(losses) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_attention_learns_which_token_is_more_frequent(tmp_path, backend):
    result = worker(backend).train(tmp_path, "model=text_attention", "epochs=4")
    assert result["test"]["accuracy"] > 0.85


@pytest.mark.slow
def test_dropout_network_reaches_the_books_accuracy(dlrun):
    result = dlrun.warm("jax", "train", "model=mnist_mlp_dropout", "epochs=3")
    assert result["test"]["accuracy"] > 0.97
    # Dropout makes training harder than the test, in which it does nothing.
    assert result["train"]["loss"] > result["validation"]["loss"]


@pytest.mark.parametrize(
    ("experiment", "metric", "least"),
    [("mixed_functional", "accuracy", 0.95), ("mixed_subclassed", "binary_accuracy", 0.99)],
)
def test_mixed_models_reach_the_accuracy_of_their_presets(dlrun, experiment, metric, least):
    assert dlrun.warm("jax", "train", f"experiment={experiment}")["test"][metric] > least


@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, ["fit", "train_step", "raw"]))
def test_the_linear_classifier_is_fitted_by_rmsprop_in_all_of_its_epochs(tmp_path, backend, loop):
    """The books print 0.855 after the first of five epochs, and 0.951 after the last."""
    words = ("experiment=linear_rmsprop", f"loop={loop}")
    result = worker(backend).train(tmp_path, *words)
    accuracy = [row["binary_accuracy"] for row in result["rows"]]
    assert len(accuracy) == 5
    assert accuracy[0] < 0.93 < min(accuracy[1:])


BRANCHES = """
import keras


class Gate(keras.layers.Layer):
    def call(self, x):
        return x if keras.ops.sum(x) > 0 else -x


class Net(keras.Model):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.parts = [keras.layers.Flatten(), Gate(), keras.layers.Dense(num_classes)]

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x
"""


def test_an_error_of_jax_is_told_as_jax_tells_it(tmp_path):
    """Keras replaces it by an AttributeError, as errors of jax can not be made from a text."""
    (tmp_path / "my_branches.py").write_text(BRANCHES)
    mine = ("model._target_=my_branches.Net", "~model.units", "smoke=true")
    with pytest.raises(Refused, match="TracerBoolConversionError: Attempted boolean conversion"):
        worker("jax").train(tmp_path, *mine)

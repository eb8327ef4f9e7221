"""The linear classifier: the native loops give the same numbers as Keras' loops."""

import functools

import pytest

from conftest import slow
from trainings import worker

NATIVE = (
    ("jax", "linear_value_and_grad"),
    ("tensorflow", "linear_tape"),
    ("torch", "linear_tensors"),
    ("torch", "linear_module"),
)


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    """The result and the losses of a run, cached."""
    cwd = tmp_path_factory.mktemp("linear")

    @functools.cache
    def curve(backend, *overrides):
        result = worker(backend).train(cwd, "experiment=linear_classifier", *overrides)
        return result, [row["loss"] for row in result["rows"]]

    return curve


@pytest.mark.parametrize(("backend", "loop"), NATIVE)
def test_the_native_loop_and_keras_give_the_same_losses(curve, backend, loop):
    result, native = curve(backend, f"loop={loop}")
    _, keras = curve(backend, "loop=fit")
    assert native == pytest.approx(keras, rel=1e-5)
    # The books print 0.0289 and 0.0280 after 40 steps.
    assert native[0] > 1
    assert 0.025 < native[-1] < 0.033
    assert result["test"]["accuracy"] > 0.99


@pytest.mark.parametrize(("backend", "loop"), [slow(*NATIVE[0]), *NATIVE[1:3], slow(*NATIVE[3])])
def test_the_native_loop_weighs_samples_as_keras_does(curve, backend, loop):
    weights = ("task.class_weight={0: 1, 1: 3}", "task.sampling=undersample", "epochs=2")
    _, native = curve(backend, f"loop={loop}", *weights)
    _, keras = curve(backend, "loop=fit", *weights)
    assert native == pytest.approx(keras, rel=1e-5)


def test_the_plot_is_drawn(curve):
    result, _ = curve("jax", "loop=linear_value_and_grad")
    plot = result["path"] / "plots" / "decision_line.png"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_native_loop_validates_and_stops_early_like_any_other(dlrun):
    result = dlrun.warm(
        "jax",
        "train",
        "model=linear_classifier",
        "optimizer=sgd",
        "loop=linear_value_and_grad",
        "optimizer.learning_rate=0.01",
        "callbacks.early_stopping.min_delta=0.01",
        "epochs=200",
    )
    assert result["stopped_by"] == "early_stopping"
    assert set(result["validation"]) == {"loss"}
    evaluated = dlrun.warm("jax", "evaluate", "latest", "--split", "validation")
    assert evaluated["metrics"]["loss"] == pytest.approx(result["validation"]["loss"], rel=1e-4)


def refused(dlrun, done, message):
    assert done.returncode == 2
    assert f"error: {message}" in done.stderr
    assert not list(dlrun.cwd.glob("runs/*/*"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=mnist_mlp"], "this loop trains only one linear layer, but the model is mnist_mlp"),
        (["model=linear_classifier", "optimizer=adam"], "this loop is plain gradient descent"),
        (["model=linear_classifier", "schedule=cosine"], "this loop keeps one learning rate"),
    ],
)
def test_a_native_loop_refuses_what_it_cannot_train(dlrun, overrides, message):
    words = ("train", "optimizer=sgd", "loop=linear_value_and_grad", *overrides)
    refused(dlrun, dlrun.within("jax", *words), message)


@pytest.mark.parametrize("loop", ["tape", "module", "tensors"])
def test_a_native_loop_refuses_another_backend_at_once(dlrun, loop):
    words = ("train", f"loop=linear_{loop}", "model=linear_classifier", "optimizer=sgd")
    only = "tensorflow" if loop == "tape" else "torch"
    message = f"loop=linear_{loop} computes on backend={only} alone, not on jax"
    refused(dlrun, dlrun.here(*words, "backend=jax"), message)

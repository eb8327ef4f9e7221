"""Formats that a trained model is written in: those that ship, and one of your own."""

import json

import numpy as np
import pytest

from dlrun.config.run_config import read_config, upgrade_overrides
from trainings import Refused, worker

OWN = """
import numpy as np


def export_npz(model, *, spec, directory, filename="weights.npz"):
    path = directory / filename
    np.savez(path, *[np.asarray(v) for v in model.get_weights()], shape=spec.input_shape)
    return path


def check_npz(model):
    if model.name.startswith("mixed"):
        raise ValueError("it has no room for branches")


def broken(model, *, spec, directory):
    raise RuntimeError("no disk")
"""

NETS = """
import keras

class Net(keras.Model):
    def __init__(self, units, layer):
        super().__init__()
        self.flatten, self.layer = keras.layers.Flatten(), layer
        self.dense = keras.layers.Dense(units)
    def call(self, x):
        return self.dense(self.layer(self.flatten(x)))

class Scale(keras.layers.Layer):
    def __init__(self, by, function):
        super().__init__()
    def call(self, x):
        return x

def subclassed(input_shape, num_classes):
    return Net(num_classes, layer=Scale(2, function=object()))

def of_a_layer(input_shape, num_classes):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), Scale(2, function=object())]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])

def mixed(input_shape, num_classes):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
    return keras.Sequential(layers, name="mixed")
"""


@pytest.fixture
def own(dlrun):
    """A user's module with two formats, and an option for each."""
    (dlrun.cwd / "my_formats.py").write_text(OWN, encoding="utf-8")
    (dlrun.cwd / "configs/export").mkdir(parents=True)
    for name, function in (("npz", "export_npz"), ("broken", "broken")):
        text = f"{name}:\n  _target_: my_formats.{function}\n"
        (dlrun.cwd / f"configs/export/{name}.yaml").write_text(text, encoding="utf-8")
    return dlrun


def test_a_format_of_ones_own_is_a_function_and_a_yaml(own):
    words = ("train", "export=[keras,npz]", "+export.npz.filename=mine.npz", "smoke=true")
    result = own.warm("jax", *words)
    run = own.path(result)
    assert (run / "model.keras").is_file()
    with np.load(run / "mine.npz") as arrays:
        assert tuple(arrays["shape"]) == (28, 28)
        assert sum(arrays[name].size for name in arrays.files if name != "shape") == 407_050


@pytest.mark.slow
def test_a_resumed_run_may_be_written_in_another_format(own):
    result = own.json("train", "smoke=true")
    own.json("resume", result["run_dir"], "epochs=2", "+export=npz")
    assert (own.path(result) / "weights.npz").is_file()


def test_a_format_that_fails_leaves_a_run_that_evaluates(own):
    done = own.within("jax", "train", "+export=broken", "smoke=true")
    assert done.returncode == 1
    assert "export.broken: my_formats.broken raised RuntimeError: no disk" in done.stderr
    assert own.warm("jax", "evaluate", "latest")["samples"] == 384


def test_a_model_that_a_format_can_not_hold_is_refused_before_training(own):
    (own.cwd / "my_nets.py").write_text(NETS, encoding="utf-8")
    keras = "scale, a Scale, has no get_config"
    for words, expected in {
        ("model._target_=my_nets.subclassed", "~model.units", "+export=keras"): keras,
        ("model._target_=my_nets.of_a_layer", "~model.units", "+export=keras"): keras,
        ("model=torch_module", "+export=keras"): "can't hold a torch.nn.Module",
        ("model._target_=my_nets.mixed", "~model.units", "+export=npz"): "no room for branches",
    }.items():
        with pytest.raises(Refused, match=expected) as caught:
            worker("torch").train(own.cwd, *words, "smoke=true")
        assert caught.value.exit_code == 2
    assert not (own.cwd / "runs").exists()


def test_a_wrong_argument_is_reported_before_anything_starts(own):
    done = own.here("train", "+export=npz", "+export.npz.file=x", "smoke=true")
    assert done.returncode == 2
    assert "my_formats.export_npz takes no 'file'; it takes filename" in done.stderr


def test_a_missing_package_is_reported_before_anything_starts(own):
    option = own.cwd / "configs/export/npz.yaml"
    option.write_text(option.read_text() + "  package: not_there\n", encoding="utf-8")
    done = own.here("train", "+export=npz", "smoke=true")
    assert done.returncode == 2
    assert done.stderr.startswith("error: export=npz: not_there is not installed")
    assert "hint: pip install not_there, or choose" in done.stderr


def test_the_keys_of_an_older_record_are_read_as_the_new_ones(tmp_path):
    old = {"choices": {}, "data": {"_target_": "x", "feed": "pandas"}, "export_keras": True}
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(old), encoding="utf-8")
    config = read_config(path)
    assert config["feed"] == {"_target_": "dlrun.feeds.pandas.pandas"}
    assert config["choices"] == {"feed": "pandas"}
    assert list(config["export"]) == ["keras"]
    assert config["data"] == {"_target_": "x"}


def test_a_feed_of_ones_own_data_set_is_left_as_it_is(tmp_path):
    config = {"choices": {}, "data": {"_target_": "x", "feed": 3}, "feed": {"_target_": None}}
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    assert read_config(path) == config
    assert upgrade_overrides(["data.feed=3"], config) == ["data.feed=3"]

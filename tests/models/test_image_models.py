"""Models for images: any size, several outputs, and networks of keras.applications."""

import re

import numpy as np
import pytest

from dlrun.checkpoints.format import read_checkpoint
from dlrun.checkpoints.store import Position, checkpoint_path
from photos import write_digits
from trainings import Refused, worker

MADE = """
import keras
import numpy as np
from dlrun.models.resnet import resnet
from dlrun.models.small_convnet import small_convnet

shapes = []
for build in (small_convnet, resnet):
    for shape in ((16, 16), (16, 16, 1), (17, 40, 3)):
        for classes in (10, {"kind": 3, "age": 1}):
            outputs = build(shape, classes)(np.zeros((2, *shape), "float32"))
            named = outputs if isinstance(outputs, dict) else {"": outputs}
            shapes.append({name: list(output.shape) for name, output in named.items()})
found["shapes"] = shapes
found["parameters"] = resnet((8, 8, 3), 2, depths=[1, 2], widths=[8, 16]).count_params()
"""

# What the network is given, against preprocess_input itself.
PREPROCESSED = """
import importlib
import keras
import numpy as np
from dlrun.models.keras_application import _application, _preprocess

pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
for name in ("ResNet50", "DenseNet121", "MobileNetV2", "EfficientNetB0"):
    build = _application(name)
    inputs = keras.Input((4, 4, 3))
    layer = keras.Model(inputs, _preprocess(inputs, build))
    expected = importlib.import_module(build.__module__).preprocess_input(pixels.copy())
    given = keras.ops.convert_to_numpy(layer(pixels / 255))
    found[name] = float(np.abs(np.asarray(given) - expected).max())
"""

SAVED = """
import keras
network = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
network.save_weights("mobilenet.weights.h5")
found["first"] = keras.ops.convert_to_numpy(network.weights[0]).tolist()
"""

# Keras warns of each part of the network that the file does not have, before it gives up.
OTHER = """
import warnings
import keras
from dlrun.errors import DlrunError
from dlrun.models.keras_application import keras_application
shape = (32, 32, 3)
other = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=shape)
other.save_weights("other.weights.h5")
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    try:
        keras_application(shape, 2, name="MobileNetV2", weights="other.weights.h5")
    except DlrunError as error:
        found["message"] = error.message
found["told"] = [str(one.message) for one in told if "nested" in str(one.message)]
"""


def test_any_size_from_16_on_and_several_outputs(tmp_path):
    found = worker("torch").run(tmp_path, MADE)
    assert found["shapes"] == [{"": [2, 10]}, {"kind": [2, 3], "age": [2, 1]}] * 6
    stem, norm = 3 * 9 * 8, 2
    first = norm * 8 + 8 * 9 * 8 + norm * 8 + 8 * 9 * 8
    second = norm * 8 + 8 * 16 + 8 * 9 * 16 + norm * 16 + 16 * 9 * 16
    third = norm * 16 + 16 * 9 * 16 + norm * 16 + 16 * 9 * 16
    assert found["parameters"] == stem + first + second + third + norm * 16 + 16 * 2 + 2


def test_the_networks_own_preprocessing(tmp_path):
    found = worker("torch").run(tmp_path, PREPROCESSED)
    assert max(found.values()) < 1e-4


@pytest.mark.trains
def test_resnet_learns(tmp_path):
    path = write_digits(tmp_path / "digits", 400)
    settings = ("model=resnet", "model.depths=[1,1]", "model.widths=[8,16]", "batch_size=32")
    data = ("data=image_folder", f"data.path={path}", "data.size=16")
    rate = ("optimizer.learning_rate=0.01", "epochs=8")
    result = worker("torch").train(tmp_path, *data, *settings, *rate)
    assert result["test"]["accuracy"] > 0.5


@pytest.mark.slow
@pytest.mark.trains
def test_a_frozen_network_keeps_the_weights_of_its_file(tmp_path):
    torch = worker("torch")
    first = torch.run(tmp_path, SAVED)["first"]
    settings = ["model=keras_application", "model.name=MobileNet", "data=mnist", "data.limit=64"]
    settings += ["model.weights=mobilenet.weights.h5", "model.frozen=true", "epochs=1"]
    run = torch.train(tmp_path, *settings)["path"]
    (tmp_path / "mobilenet.weights.h5").unlink()  # the run has its weights in its checkpoint
    resumed = torch.resume(tmp_path, run, "epochs=2")
    saved = read_checkpoint(checkpoint_path(run / "checkpoints", Position(2)))
    assert any(np.array_equal(variable.value, first) for variable in saved.model)
    evaluated = torch.evaluate(tmp_path, run)
    assert evaluated["metrics"]["loss"] == pytest.approx(resumed["test"]["loss"], abs=1e-5)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    found = worker("torch").run(tmp_path, OTHER)
    assert "other.weights.h5 does not fit MobileNetV2 without its top" in found["message"]
    assert found["told"] == []


def test_images_that_are_halved_to_nothing_are_refused(tmp_path):
    with pytest.raises(Refused, match="5 blocks halve images of 28 pixels to nothing") as caught:
        worker("torch").train(tmp_path, "model=small_convnet", "model.blocks=5", "data=mnist")
    assert "model.blocks=4, or images of 32 pixels" in caught.value.hint
    assert not (tmp_path / "runs").exists()


def test_stages_without_a_width_are_refused(tmp_path):
    with pytest.raises(Refused, match="a number for each stage") as caught:
        worker("torch").train(tmp_path, "model=resnet", "model.depths=[1]", "data=mnist")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("model.weights=imagenet", "nothing is downloaded", r"MobileNetV2\.weights\.h5"),
        ("model.weights=lost.weights.h5", "no such file", "include_top=False"),
        ("model.name=resnet50", "keras.applications has", r"model\.name=ResNet50"),
    ],
)
def test_weights_are_never_downloaded(tmp_path, override, message, hint):
    with pytest.raises(Refused, match=message) as caught:
        worker("torch").train(tmp_path, "model=keras_application", "data=mnist", override)
    assert re.search(hint, caught.value.hint)
    assert caught.value.exit_code == 2

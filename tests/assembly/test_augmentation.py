"""Random changes of images: in training alone, the same in every loop and after a resume."""

from colorsys import hsv_to_rgb

import numpy as np
import pytest

from conftest import slow_on
from photos import write_digits
from trainings import BACKENDS, Refused, worker

SMALL = ("model=small_convnet", "model.filters=4", "model.blocks=1", "data=mnist", "data.limit=64")
SMALL += ("batch_size=32", "epochs=1")

# What the first layer of a model is given: outside of training, and twice in training. Rotation and
# zoom take jax ten seconds to compile.
APPLIED = """
import numpy as np
import keras
from dlrun.assembly.augmentation import augment
from dlrun.assembly.model import build_model
from dlrun.config.compose import compose
from dlrun.data.input_spec import ArraySpec, InputSpec

layers = "augmentation=[flip,contrast]"
config = compose(["model=small_convnet", "model.filters=8", "model.blocks=1", layers])
spec = InputSpec(ArraySpec((16, 16, 3), "uint8"), ArraySpec((), "int32"), 10, 255.0)
model = build_model(config, spec)
inputs = np.random.default_rng(0).random((4, 16, 16, 3)).astype("float32")
seen = []
[layer] = [layer for layer in model.layers if layer.name == "convolution_1"]
call = layer.call

def watched(images, *arguments, **keywords):
    seen.append(keras.ops.convert_to_numpy(images))
    return call(images, *arguments, **keywords)

vars(layer)["call"] = watched
for training in (False, True, True):
    model(inputs, training=training)
found["plain"] = bool(np.array_equal(seen[0], inputs))
found["changed"] = float(np.abs(seen[1] - inputs).mean())
found["differ"] = float(np.abs(seen[1] - seen[2]).mean())
found["low"], found["high"] = float(seen[1].min()), float(seen[1].max())
found["layers"] = [type(layer).__name__ for layer in model.layers]
found["seeds"] = sum(v.path.endswith("seed_generator_state") for v in model.variables)
"""


@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
def test_images_are_changed_in_training_alone(tmp_path, backend):
    found = worker(backend).run(tmp_path, APPLIED)
    assert found["plain"]
    assert found["changed"] > 0.05
    assert found["differ"] > 0.05
    assert (found["low"], found["high"]) == pytest.approx((0, 1), abs=0.15)  # not 0 to 255
    assert not any(name.startswith("Random") for name in found["layers"])
    assert found["seeds"] == 3  # two, and one of the dropout


# A pixel of 200, 100, 50, by layers that saturate it fully.
SATURATED = """
import keras
import numpy as np
from dlrun.assembly.augmentation import augment
from dlrun.assembly.model import build_model
from dlrun.config.compose import compose
from dlrun.data.input_spec import ArraySpec, InputSpec

pixel = np.full((1, 16, 16, 3), (200, 100, 50), "float32")
arguments = {"RandomSaturation": "factor", "RandomColorJitter": "saturation_factor"}
for target, argument in arguments.items():
    layer = f"+augmentation.saturated={{_target_: keras.layers.{target}, {argument}: [1.0, 1.0]}}"
    config = compose(["model=small_convnet", "model.blocks=1", layer])
    spec = InputSpec(ArraySpec((16, 16, 3), "uint8"), ArraySpec((), "int32"), 10, 1.0)
    model = build_model(config, spec)
    seen = []
    vars(model)["call"] = lambda inputs, **keywords: seen.append(inputs)
    augment(model, config, spec)
    model.call(keras.ops.convert_to_tensor(pixel), training=True)
    found[target] = keras.ops.convert_to_numpy(seen[0])[0, 0, 0].tolist()
"""


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_saturated_images_from_0_to_255_stay_in_their_range(tmp_path, backend):
    found = worker(backend).run(tmp_path, SATURATED)
    expected = [value * 255 for value in hsv_to_rgb(20 / 360, 1, 200 / 255)]
    assert found["RandomSaturation"] == pytest.approx(expected, abs=0.1)
    assert found["RandomColorJitter"] == pytest.approx(expected, abs=0.1)


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_every_loop_draws_the_same(tmp_path, backend):
    losses = [
        worker(backend).train(tmp_path, *SMALL, *settings)["rows"][0]["loss"]
        for settings in (
            ("augmentation=[flip,contrast]",),
            ("augmentation=[flip,contrast]", "loop=train_step"),
            ("augmentation=[flip,contrast]", "loop=raw"),
            (),
        )
    ]
    assert losses[:3] == pytest.approx([losses[0]] * 3, abs=1e-5)
    assert abs(losses[3] - losses[0]) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["fit", "train_step", "raw"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_resumed_run_is_augmented_as_one_that_never_stopped(dlrun, backend, loop):
    write_digits(dlrun.cwd / "digits", 600)
    settings = ["data=image_folder", "data.path=digits", "data.size=16", "augmentation=standard"]
    settings += ["model.filters=8", f"backend={backend}", f"loop={loop}", "epochs=2"]
    done = dlrun("verify-resume", *settings, "callbacks.checkpoint.every_steps=2")
    assert done.returncode == 0, done.stderr
    assert "bit-identical" in done.stdout


@pytest.mark.trains
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=blobs", "model=linear_classifier", "augmentation=flip"], "expected images"),
        (
            [*SMALL, "+augmentation.crop={_target_: keras.layers.RandomCrop, height: 8, width: 8}"],
            "returns images of shape",
        ),
        ([*SMALL, "+augmentation.mixed._target_=keras.layers.MixUp"], "labels are not mixed"),
        ([*SMALL, "+augmentation.dense={_target_: keras.layers.Dense, units: 1}"], "has weights"),
        ([*SMALL, "augmentation=rotation", "augmentation.rotation.factor=7"], "factor"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, overrides, message):
    with pytest.raises(Refused, match=message) as caught:
        worker("jax").train(tmp_path, *overrides, "task.monitor=loss")
    assert caught.value.exit_code == 2


@pytest.mark.trains
@pytest.mark.parametrize("loop", ["raw loop.compile=xla", "fit loop.jit_compile=true"])
def test_a_layer_that_xla_can_not_compile_is_refused_where_xla_is_asked_for(tmp_path, loop):
    typed = (*SMALL, "augmentation=rotation", *f"loop={loop}".split())
    with pytest.raises(Refused, match=r"XLA can't compile augmentation\.rotation") as caught:
        worker("tensorflow").train(tmp_path, *typed)
    assert caught.value.exit_code == 2
    assert "~augmentation.rotation" in caught.value.hint
    assert not (tmp_path / "runs").exists()


@pytest.mark.trains
def test_any_random_layer_of_keras_can_be_chosen(tmp_path):
    noise = "+augmentation.noise={_target_: keras.layers.GaussianNoise, stddev: 0.5}"
    losses = [
        worker("torch").train(tmp_path, *SMALL, *more)["rows"][0]["loss"] for more in ((), (noise,))
    ]
    assert np.isfinite(losses).all()
    assert losses[0] != losses[1]

"""Networks written in torch or jax: they train, resume and evaluate as Keras' do."""

import json
import shutil

import numpy as np
import pytest

from conftest import Dlrun, slow_on
from dlrun.data.mnist import mnist
from trainings import Refused, worker

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, size, num_classes, units):
        super().__init__()
        self.norm = nn.BatchNorm1d(size)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.hidden = nn.Linear(size, units)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(units, num_classes)

    def forward(self, images):
        if self.training:
            self.seen = self.seen + images.shape[0]  # another tensor, not the same in place
        images = self.norm(images.flatten(1))
        return self.out(self.drop(torch.relu(self.hidden(images))))


def build(input_shape, num_classes, units=16):
    return Net(input_shape[0] * input_shape[1], num_classes, units)


def part(input_shape, num_classes):
    import keras
    from dlrun.models.torch_module import TorchModule

    inputs = keras.Input(input_shape)
    hidden = TorchModule(nn.Linear(input_shape[1], 5), name="first")(inputs)
    hidden = TorchModule(nn.LSTM(5, 4, batch_first=True), name="second")(hidden)[0]
    return keras.Model(inputs, keras.layers.Dense(num_classes)(keras.layers.Flatten()(hidden)))
"""
MINE = """
# A network of mine.
defaults: [torch_module, _self_]
module: {_target_: my_net.build, units: 24}
"""
SMALL = ("data.limit=120", "batch_size=12", "epochs=2", "~callbacks.early_stopping")
MODELS = {"torch": "model=mine", "jax": "model=jax_function"}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "my_net.py").write_text(NET)
    (tmp_path / "configs/model").mkdir(parents=True)
    (tmp_path / "configs/model/mine.yaml").write_text(MINE)
    (tmp_path / "configs/model/part.yaml").write_text("_target_: my_net.part\n")
    return tmp_path


def variables(run):
    """The variables of the last checkpoint by path; what needed a pickle would raise."""
    last = max(run["path"].glob("checkpoints/epoch-*"))
    assert {file.suffix for file in last.iterdir()} <= {".npz", ".json"}
    manifest = json.loads((last / "manifest.json").read_text())
    with np.load(last / "arrays.npz", allow_pickle=False) as arrays:
        return {f"{e['key']} {e['path']}": arrays[e["key"]] for e in manifest["arrays"]}


@pytest.mark.parametrize("backend", slow_on("jax", of=MODELS))
def test_it_takes_the_same_steps_in_every_loop_and_resumes_to_the_bit(project, backend):
    process, model = worker(backend), MODELS[backend]
    loops = ("fit", "train_step", "raw")
    runs = {loop: process.train(project, model, *SMALL, f"loop={loop}") for loop in loops}
    fit = variables(runs["fit"])
    for run in runs.values():
        for path, array in variables(run).items():
            np.testing.assert_allclose(array, fit[path], atol=1e-5, err_msg=path)
    for loop in ("fit", "raw"):
        half = process.train(project, model, *SMALL, f"loop={loop}", "epochs=1")
        resumed = variables(process.resume(project, half["path"], "epochs=2"))
        for path, array in variables(runs[loop]).items():
            assert np.array_equal(resumed[path], array), (loop, path)


@pytest.mark.slow
def test_buffers_change_in_training_alone_and_a_new_process_evaluates_to_the_same_numbers(
    project, dlrun
):
    model = "model=mine"
    # One step an epoch, on all samples: in what order is all the same.
    run = worker("torch").train(project, model, "data.limit=300", "batch_size=300", "epochs=3")
    images = mnist(limit=300).train.inputs.reshape(300, -1) / 255.0
    saved = {name.partition(" ")[2]: array for name, array in variables(run).items()}
    kept = 0.9**3
    mean, variance = images.mean(0), images.var(0, ddof=1)
    norm = "torch_module/norm/"
    np.testing.assert_allclose(saved[norm + "running_mean"], (1 - kept) * mean, atol=1e-6)
    np.testing.assert_allclose(saved[norm + "running_var"], kept + (1 - kept) * variance, atol=1e-6)
    assert saved[norm + "num_batches_tracked"] == 3
    assert saved["torch_module/seen"] == 3 * 300
    assert saved["torch_module/hidden/weight"].shape == (24, 784)

    evaluated = dlrun.json("evaluate", run["path"], cwd=project)
    assert evaluated["metrics"] == run["test"]
    with pytest.raises(Refused, match=r"can't hold a torch.nn.Module, which Keras would pickle"):
        worker("torch").train(project, model, "smoke=true", "+export=keras")
    text = (project / "my_net.py").read_text()
    (project / "my_net.py").write_text(text.replace("nn.Dropout(0.3)", "nn.Dropout(0.4)"))
    changed = dlrun("evaluate", run["path"], cwd=project)
    assert changed.returncode == 2
    assert "module.drop=Dropout(p=0.4, inplace=False)" in changed.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "format", "file"), [("torch", "onnx", "m.onnx"), ("jax", "litert", "m.tflite")]
)
def test_an_exported_file_needs_none_of_its_code(project, dlrun, tmp_path, backend, format, file):
    run = worker(backend).train(project, MODELS[backend], *SMALL)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ("--format", format, "--output", elsewhere / file)
    assert dlrun.json("export", run["path"], *words, cwd=project)["passed"]
    evaluated = dlrun.json("evaluate", file, cwd=elsewhere)
    assert evaluated["metrics"] == pytest.approx(run["test"], rel=1e-5)


def test_a_native_module_may_be_a_part_of_a_model(project):
    run = worker("torch").train(project, "model=part", *SMALL, "loop=raw")
    names = {name.partition(" ")[2] for name in variables(run)}
    assert {"first/weight", "second/weight_hh_l0", "dense/kernel"} <= names
    evaluated = worker("torch").evaluate(project, run["path"])
    assert evaluated["metrics"]["loss"] == pytest.approx(run["test"]["loss"], abs=1e-6)


def test_on_another_backend_it_is_one_clear_line(project):
    run = worker("torch").train(project, "model=mine", "smoke=true")
    line = "model=mine computes on backend=torch alone, not on jax"
    for command in (["train", "model=mine"], ["evaluate", run["path"]], ["summary", "model=mine"]):
        code, _, stderr = worker("jax").command(project, [*map(str, command), "backend=jax"])
        assert (code, stderr) == (2, f"error: {line}\n\nhint: backend=torch\n")
    with pytest.raises(Refused, match=r"a torch.nn.Module computes on backend=torch alone, not"):
        worker("jax").train(project, "model=part")


WRAPPED = """
import keras

L = keras.layers

def of_keras(input_shape, num_classes):
    from torch import nn
    inputs = keras.Input(input_shape)
    wrapper = L.TorchModuleWrapper(nn.Linear(784, num_classes))
    return keras.Model(inputs, wrapper(L.Flatten()(inputs)))

def held(input_shape, num_classes):
    from torch import nn
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(784, num_classes)
        def call(self, x):
            return self.linear(keras.ops.reshape(x, (-1, 784)))
    return Net()

def of_jax(input_shape, num_classes):
    layer = L.JaxLayer(lambda params, x: x @ params, lambda rng, x: x[0, :, None])
    return keras.Sequential([keras.Input(input_shape), L.Flatten(), layer])
"""


@pytest.mark.parametrize(
    ("backend", "model", "message"),
    [
        ("torch", "of_keras", "Keras' TorchModuleWrapper fails: "),
        ("torch", "held", "holds a torch module, Linear, whose buffers Keras would not save"),
        ("torch", "of_jax", "holds a JaxLayer or FlaxLayer, which computes on backend=jax, not on"),
        ("jax", "of_keras", "holds a torch module, which computes on backend=torch alone, not on"),
        ("jax", "held", "holds a torch module, which computes on backend=torch alone, not on jax"),
    ],
)
def test_keras_own_wrappers_are_refused_with_what_to_take(tmp_path, backend, model, message):
    (tmp_path / "my_net.py").write_text(WRAPPED)
    with pytest.raises(Refused) as caught:
        worker(backend).train(tmp_path, f"model._target_=my_net.{model}", "~model.units")
    assert message in caught.value.message
    assert ("model=torch_module" if model != "of_jax" else "backend=jax") in caught.value.hint
    assert caught.value.exit_code == 2


def test_the_named_module_is_trusted_by_the_rules_for_any_target(project, tmp_path_factory):
    run = worker("torch").train(project, "model=mine", "smoke=true")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    copied = shutil.copytree(run["path"], elsewhere / "runs/mine/copied")
    refused = Dlrun(elsewhere).within("torch", "evaluate", copied)
    assert refused.returncode == 2
    assert "names my_net.build, which is not trusted" in refused.stderr
    assert "add --trust my_net" in refused.stderr
    words = ("train", "model=torch_module", "model.module._target_=os.system")
    typed = Dlrun(elsewhere).within("torch", *words)
    assert "os.system is never called from a config" in typed.stderr

"""``dlrun export``: files that compute what their run does, and files as runs."""

import csv
import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from trainings import worker

ROOT = Path(__file__).parents[2]
BRANCH = """
import keras

class Branch(keras.layers.Layer):
    def call(self, x):
        return x if bool(keras.ops.max(x) > 0) else -x

def branching(input_shape, num_classes):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), Branch()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])
"""
SMALL = ("model=mnist_mlp", "model.units=8", "epochs=1", "data.limit=300")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A directory with a run of jax, and its export as ONNX by torch."""
    cwd = tmp_path_factory.mktemp("exported")
    run = worker("jax").train(cwd, *SMALL)["path"]
    worker("torch").run(cwd, "")  # else the command would compute on jax in that process
    return cwd, run, command("torch", cwd, "export", run)


@pytest.fixture(scope="module")
def of_torch(tmp_path_factory):
    """A directory with a run of torch."""
    cwd = tmp_path_factory.mktemp("of_torch")
    return cwd, worker("torch").train(cwd, *SMALL)["path"]


def command(backend, cwd, *words):
    """The result of a command in a process of a backend that stays."""
    code, stdout, stderr = worker(backend).command(cwd, [*map(str, words), "--json"])
    assert code == 0, stderr
    return json.loads(stdout)


def refused(cwd, *words, backend="torch"):
    """What a command that is refused prints, in a process that stays."""
    code, _, stderr = worker(backend).command(cwd, [*map(str, words)])
    assert code == 2, stderr
    return stderr


def of_numpy(run: Path, pixels: np.ndarray) -> np.ndarray:
    """The probabilities of the MLP in float64, from the arrays of its checkpoint."""
    [checkpoint] = run.glob("checkpoints/epoch-0001/arrays.npz")
    with np.load(checkpoint) as arrays:
        kernel, bias, kernel_2, bias_2 = (
            arrays[name].astype(np.float64)
            for name in sorted(arrays.files)
            if name.startswith("model/") and arrays[name].dtype == np.float32
        )
    hidden = np.maximum(pixels.reshape(len(pixels), -1) / 255 @ kernel + bias, 0)
    logits = hidden @ kernel_2 + bias_2
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.trains
def test_an_onnx_file_takes_pixels_and_computes_what_numpy_does(exported):
    cwd, run, result = exported
    assert result["passed"]
    assert result["compared_with"] == "backend=jax"
    path = cwd / result["output"]
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    session = onnxruntime.InferenceSession(str(path))
    [probabilities] = session.run(["output"], {"input": pixels})
    np.testing.assert_allclose(probabilities, of_numpy(run, pixels), atol=2e-6)
    proto = onnx.load(path)
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert proto.opset_import[0].version == 20
    [check] = result["checks"]
    assert check["difference"] < 1e-5
    assert list(check["milliseconds"]) == ["1", "7", "128"]


@pytest.mark.trains
def test_a_file_alone_evaluates_and_predicts_as_its_run(exported, tmp_path):
    cwd, run, result = exported
    alone = tmp_path / "copied.onnx"
    alone.write_bytes((cwd / result["output"]).read_bytes())
    of_run = worker("jax").evaluate(cwd, run)
    of_file = command("numpy", cwd, "evaluate", alone)
    assert (of_file["backend"], of_file["checkpoint"], of_file["epoch"]) == ("onnxruntime", "1", 1)
    assert of_file["samples"] == of_run["samples"]
    assert of_file["metrics"] == pytest.approx(of_run["metrics"], rel=1e-5)
    images = np.random.default_rng(1).integers(0, 256, (9, 28, 28)).astype(np.uint8)
    # Integers are scaled by the file, floats were scaled by the user.
    for name, array in {"integers": images, "floats": (images / 255).astype(np.float32)}.items():
        np.save(tmp_path / f"{name}.npy", array)
        given = ("--input", tmp_path / f"{name}.npy", "--output", tmp_path / f"{name}.npz")
        command("numpy", cwd, "predict", alone, *given)
        with np.load(tmp_path / f"{name}.npz") as arrays:
            np.testing.assert_allclose(arrays["predictions"], of_numpy(run, images), atol=2e-6)
    np.save(tmp_path / "fractions.npy", np.full((1, 28, 28), 0.5013, np.float32))
    code, _, stderr = worker("numpy").command(
        cwd, ["predict", str(alone), "--input", f"{tmp_path}/fractions.npy", "--output", "x.npz"]
    )
    assert code, stderr
    assert "takes uint8, not fractions" in stderr


@pytest.mark.trains
@pytest.mark.parametrize("words", [("evaluate",), ("predict", "--output", "x.npz")])
def test_another_epoch_of_a_file_is_refused(exported, words):
    cwd, _, result = exported
    for which in ("last", "2"):
        typed = (words[0], result["output"], *words[1:], "--checkpoint", which)
        message = f"error: --checkpoint {which}: {result['output']} holds epoch 1 alone"
        assert message in refused(cwd, *typed, backend="numpy")


@pytest.mark.trains
def test_what_cannot_be_taken_or_written_is_refused_in_a_line(exported, tmp_path):
    cwd, run, result = exported
    file = cwd / result["output"]
    bare = onnx.load(file)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    evil = onnx.load(file)
    content = json.loads(evil.metadata_props[0].value)
    content["config"]["task"]["loss"] = {"_target_": "evil.run"}
    evil.metadata_props[0].value = json.dumps(content)
    onnx.save(evil, tmp_path / "evil.onnx")
    for words, expected in {
        ("evaluate", tmp_path / "evil.onnx"): "evil",
        ("evaluate", file, "backend=torch"): "is run by onnxruntime on the CPU",
        ("evaluate", tmp_path / "bare.onnx"): "holds no metadata of dlrun",
        ("evaluate", "missing.onnx"): "there is no file missing.onnx",
        ("export", file): "is an exported file",
        ("export", run, "--format", "onx"): "did you mean onnx?",
        ("export", run, "--format", "torch", "--quantize", "int8"): "not quantized so",
        ("export", run, "--output", "model.tflite"): "expected a name that ends in .onnx",
        ("export", run, "precision=bfloat16"): "written and compared in float32",
    }.items():
        assert expected in refused(cwd, *words)


@pytest.mark.trains
def test_a_file_that_differs_is_not_kept(of_torch):
    cwd, run = of_torch
    words = ["export", str(run), "--tolerance", "0", "--output", "differs.onnx"]
    code, stdout, stderr = worker("torch").command(cwd, words)
    assert code == 1
    assert "beyond 0" in stdout
    assert "nothing was written" in stderr
    assert not [*cwd.glob("*differs*"), *cwd.glob(".export*")]


@pytest.mark.slow
def test_a_torch_run_is_quantized_with_its_accuracy_before_and_after(of_torch):
    cwd, run = of_torch
    result = command("torch", cwd, "export", run, "--quantize", "int8")
    before, after = result["checks"]
    assert (before["precision"], after["precision"]) == ("float32", "int8")
    assert before["metrics"]["accuracy"] == pytest.approx(
        worker("torch").evaluate(cwd, run)["metrics"]["accuracy"]
    )
    assert after["metrics"]["accuracy"] == pytest.approx(before["metrics"]["accuracy"], abs=0.05)
    assert 0 < after["bytes"] < before["bytes"]
    card = (cwd / result["card"]).read_text(encoding="utf-8")
    assert "| int8 |" in card
    assert "license: unknown" in card


@pytest.mark.trains
def test_tensorflow_writes_litert_with_its_weights_in_it(tmp_path):
    run = worker("tensorflow").train(tmp_path, *SMALL)["path"]
    result = command("tensorflow", tmp_path, "export", run, "--format", "litert")
    assert result["passed"]
    pixels = np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(tmp_path / result["output"]))
    found = interpreter.get_signature_runner("serving_default")(input=pixels)["output"]
    np.testing.assert_allclose(found, of_numpy(run, pixels), atol=2e-6)


@pytest.mark.slow
@pytest.mark.trains
def test_the_example_serves_a_table_with_its_preprocessing(homes, tmp_path):
    run, file = homes.run("kind"), tmp_path / "kind.onnx"
    command("torch", homes.cwd, "export", run, "--output", file)
    rows = homes.predict("kind")
    columns = {name: values for name, values in homes.new.items() if name != "house_id"}
    script = [sys.executable, ROOT / "examples/serve.py", file, "0"]
    server = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http\S+", server.stdout.readline())[0]
        request = urllib.request.Request(url, json.dumps(columns).encode())
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        wrong = urllib.request.Request(url, b'{"area": [1]}')
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(wrong, timeout=30)
        assert caught.value.code == 400
        caught.value.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert answer["output"]["classes"] == [row["predicted_kind"] for row in rows]
    # And the file predicts the table as its run does.
    given = ("--input", homes.cwd / "new.csv", "--output", tmp_path / "out.csv")
    command("numpy", homes.cwd, "predict", file, *given)
    with (tmp_path / "out.csv").open(encoding="utf-8") as table:
        of_file = list(csv.DictReader(table))
    assert [row["predicted_kind"] for row in of_file] == [row["predicted_kind"] for row in rows]
    large = refused(homes.cwd, "export", homes.run("price"), "--quantize", "float16")
    assert "float16 ends at 65,504" in large
    assert "hint: --quantize int8" in large
    words = ("--quantize", "float16", "--format", "openvino")
    assert "hint: --format litert --quantize int8" in refused(
        homes.cwd, "export", homes.run("price"), *words
    )


@pytest.mark.trains
def test_a_model_of_one_backend_says_which_formats_it_has(tmp_path):
    result = worker("jax").train(tmp_path, "model=jax_function", "smoke=true")
    said = refused(tmp_path, "export", result["path"], backend="jax")
    assert "--format litert or --format safetensors or --format saved_model" in said
    said = refused(tmp_path, "export", result["path"], "--format", "keras", backend="jax")
    assert (
        "--format keras can't hold model=jax_function, which computes on backend=jax alone" in said
    )


@pytest.mark.trains
def test_a_layer_that_decides_by_values_can_not_be_written(tmp_path):
    (tmp_path / "my_nets.py").write_text(BRANCH, encoding="utf-8")
    typed = ("model._target_=my_nets.branching", "~model.units", "smoke=true")
    run = worker("torch").train(tmp_path, *typed)["path"]
    words = ["export", str(run), "--trust", "my_nets", "--output", "branching.onnx"]
    code, _, stderr = worker("torch").command(tmp_path, words)
    assert code == 1
    assert "can't be written as onnx" in stderr
    assert not (tmp_path / "branching.onnx").exists()


TRANSPOSED = """
import keras
import torch
from safetensors.numpy import load, save
from dlrun.exports.formats.safetensors import tensors
from dlrun.models.torch_module import TorchModule

linear = torch.nn.Linear(3, 2, bias=False)
linear.weight = torch.nn.Parameter(torch.arange(6.0).reshape(3, 2).T)
inputs = keras.Input((3,))
model = keras.Model(inputs, TorchModule(linear)(inputs))
[weight] = load(save(tensors(model))).values()
found["weight"] = weight.tolist()
"""


@pytest.mark.trains
def test_a_weight_that_is_transposed_in_memory_is_written_as_it_is_read(tmp_path):
    found = worker("torch").run(tmp_path, TRANSPOSED)
    assert found["weight"] == [[0, 2, 4], [1, 3, 5]]

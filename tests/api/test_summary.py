"""A model's layers as a table and as JSON, and its graph as a picture."""

import re
import sys
from xml.etree import ElementTree

import pytest

OWN = """
import keras
from keras.layers import Add, Concatenate, Dense


def own(input_shape, num_classes):
    first, second = keras.Input((4,), name="first"), keras.Input((3,), name="cost_$x$_$y$")
    twice = Dense(4, name="twice")
    nested = keras.Sequential([keras.Input((7,)), Dense(5), Dense(4)], name="nested")
    joined = nested(Concatenate(name="join")([twice(twice(first)), second]))
    added = Add(name="skip")([joined, first])
    outputs = {"a": Dense(2, name="a")(added), "b": keras.ops.relu(joined)}
    return keras.Model([first, second], outputs, name="own")
"""
# Builds the model above, and writes its graph as JSON and as a picture.
GRAPH_SCRIPT = """
import json, os
from dataclasses import asdict
from pathlib import Path
os.environ["KERAS_BACKEND"] = "numpy"
from own_models import own
from dlrun.system.pictures import save
from dlrun.report.model_graph.graph import graph_of
from dlrun.report.model_graph.picture import draw
graph = graph_of(own(None, None))
figure, dpi = draw(graph, "own")
save(figure, Path("own.svg"), dpi=dpi)
print(json.dumps(asdict(graph)))
"""


@pytest.fixture
def own(dlrun):
    (dlrun.cwd / "own_models.py").write_text(OWN)
    return dlrun


def png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_stdout_is_keras_table_alone(dlrun):
    done = dlrun("summary", "model=mnist_convnet", "backend=numpy")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('Model: "mnist_convnet"\n')
    assert re.search(r"conv2d_3 \(Conv2D\) +. \(None, 8, 8, 128\) +. +147,584 ", done.stdout)
    assert " Total params: 260,298 " in done.stdout
    assert "\x1b" not in done.stdout
    assert list(dlrun.cwd.iterdir()) == []


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch", "numpy"])
def test_layers_are_listed_as_json_on_every_backend(dlrun, backend):
    result = dlrun.warm(backend, "summary", "model.units=64")
    shapes = {"flatten": [None, 784], "hidden": [None, 64], "logits": [None, 10]}
    layers = result.pop("layers")
    assert {layer["name"]: layer["output_shape"] for layer in layers} == shapes
    assert layers[1] == {
        "name": "hidden",
        "type": "Dense",
        "output_shape": [None, 64],
        "parameters": 50240,
        "trainable": True,
    }
    assert result == {
        "model": "mnist_mlp",
        "backend": backend,
        "parameters": 50890,
        "trainable_parameters": 50890,
        "non_trainable_parameters": 0,
    }
    assert list(dlrun.cwd.iterdir()) == []


def test_a_subclassed_model_has_layers_but_no_graph(dlrun):
    words = ("summary", "model=mnist_subclassed")
    result = dlrun.warm("numpy", *words)
    assert result["parameters"] == 260_298
    assert [layer["name"] for layer in result["layers"]] == ["conv_base", "dropout", "logits"]
    done = dlrun.within("numpy", *words, "--plot", "model.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "mnist_subclassed is a subclassed model" in done.stderr
    assert done.stderr.count("\n") == 3
    assert list(dlrun.cwd.iterdir()) == []


@pytest.mark.parametrize("model", ["mnist_mlp", "mnist_mlp_dropout", "ticket_classifier"])
def test_the_graph_is_drawn_and_nothing_else_is_written(dlrun, model):
    done = dlrun.within("numpy", "summary", f"model={model}", "--plot", "model.png")
    assert (done.returncode, done.stderr) == (0, "plot   model.png\n")
    assert done.stdout.startswith(f'Model: "{model}"\n')
    assert [path.name for path in dlrun.cwd.iterdir()] == ["model.png"]
    assert png(dlrun.cwd / "model.png")


def test_a_graph_has_a_box_for_each_call_and_nested_models_are_one(own):
    done = own(command=[sys.executable, "-c", GRAPH_SCRIPT])
    graph = own.parse(done.stdout)
    boxes = graph["boxes"]
    assert {(box["name"], box["type"], box["role"]) for box in boxes} == {
        ("first", "InputLayer", "input"),
        ("cost_$x$_$y$", "InputLayer", "input"),
        ("twice", "Dense, shared", "layer"),
        ("join", "Concatenate", "layer"),
        ("nested", "Sequential", "model"),
        ("skip", "Add", "layer"),
        ("a", "Dense", "output"),
        ("relu", "Relu", "output"),
    }
    names = [box["name"] for box in boxes]
    assert len(names) == 9  # the layer "twice" appears twice
    arrows = [f"{names[start]} > {names[end]}" for start, end in graph["arrows"]]
    assert sorted(arrows) == [
        "cost_$x$_$y$ > join",
        "first > skip",
        "first > twice",
        "join > nested",
        "nested > relu",
        "nested > skip",
        "skip > a",
        "twice > join",
        "twice > twice",
    ]
    join = next(box for box in boxes if box["name"] == "join")
    assert (join["inputs"], join["outputs"]) == ([[None, 4], [None, 3]], [[None, 7]])
    assert ElementTree.parse(own.cwd / "own.svg").getroot().tag.endswith("svg")


def test_an_invalid_plot_path_is_reported_before_anything_starts(dlrun):
    for plot, words in (
        ("model.jpg", "expected a name that ends in .png, .svg, .pdf\n\nhint: --plot model.png"),
        ("nowhere/model.png", "there is no directory nowhere"),
        (".", "is a directory"),
    ):
        done = dlrun.here("summary", "--plot", plot)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
    assert list(dlrun.cwd.iterdir()) == []


def test_a_failed_write_keeps_the_previous_picture(dlrun):
    # Fails during the write, as on a full disk.
    (dlrun.cwd / "sitecustomize.py").write_text(
        "from pathlib import Path\n"
        "def replace(self, target): raise OSError(28, 'No space left on device')\n"
        "Path.replace = replace\n"
    )
    (dlrun.cwd / "model.png").write_bytes(b"before")
    words = ("summary", "backend=numpy", "--plot", "model.png")
    done = dlrun(*words, env={"PYTHONPATH": str(dlrun.cwd), "PYTHONDONTWRITEBYTECODE": "1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: can't write model.png: No space left on device\n"
    assert (dlrun.cwd / "model.png").read_bytes() == b"before"
    assert {path.name for path in dlrun.cwd.iterdir()} == {"model.png", "sitecustomize.py"}


def test_without_matplotlib_it_says_how_to_install_it(dlrun):
    (dlrun.cwd / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'matplotlib' else"
        " found(name, *a)\n"
    )
    done = dlrun("summary", "--plot", "model.png", env={"PYTHONPATH": str(dlrun.cwd)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --plot needs matplotlib, which is not installed\n")
    assert "pip install 'dlrun[plots]'" in done.stderr


def test_a_narrow_or_ascii_terminal_gets_a_table_too(dlrun):
    for env in ({"COLUMNS": "12"}, {"PYTHONIOENCODING": "ascii"}):
        done = dlrun("summary", "backend=numpy", env=env)
        assert done.returncode == 0, done.stderr
        assert "Total" in done.stdout

"""``dlrun parity``: real comparisons of backends and loops, each in its own process."""

import csv

import pytest

from dlrun.report.parity import parity_table
from trainings import worker

# A model whose outputs differ by 1 % on tensorflow.
BENT = """
import keras

def bent(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(8)(keras.layers.Flatten()(inputs))
    x = keras.layers.Dropout(0.25, name="sparse")(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dense(num_classes)(x)
    return keras.Model(inputs, x * (1.01 if keras.backend.backend() == "tensorflow" else 1))
"""
SMALL = ("model.units=32", "data.limit=512", "batch_size=64")


@pytest.fixture
def bent(dlrun):
    (dlrun.cwd / "my_models.py").write_text(BENT)
    group = dlrun.cwd / "configs" / "model"
    group.mkdir(parents=True)
    (group / "bent.yaml").write_text("_target_: my_models.bent\n")
    return dlrun


def read_losses(dlrun, result):
    """The rows of ``losses.csv``, as numbers."""
    with (dlrun.cwd / result["losses"]).open(encoding="utf-8", newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_all_backends_agree_in_predictions_each_step_and_metrics(dlrun):
    result = dlrun.json("parity", *SMALL, "--steps", "8")
    assert (result["reference"], result["within"], result["first_beyond"]) == ("jax", True, None)
    assert list(result["members"]) == ["jax", "tensorflow", "torch", "numpy"]
    assert {member["device"] for member in result["members"].values()} == {"cpu:0"}
    assert set(result["predictions"]["differences"]) == {"tensorflow", "torch", "numpy"}
    assert set(result["steps"]["differences"]) == {"tensorflow", "torch"}  # numpy can't train
    assert max(result["steps"]["differences"].values()) < 2e-6
    assert list(result["metrics"]["final"]["loss"]["values"]) == ["jax", "tensorflow", "torch"]
    initial, final = (result["metrics"][when]["loss"]["values"] for when in ("initial", "final"))
    assert final["jax"] < initial["jax"]

    directory = dlrun.cwd / result["directory"]
    names = ["losses.csv", "losses.png", "parity.json"]
    assert sorted(path.name for path in directory.iterdir()) == names
    assert (dlrun.cwd / result["plot"]).read_bytes().startswith(b"\x89PNG")
    assert dlrun.parse((directory / "parity.json").read_text()) == result
    assert max(map(len, parity_table(result).splitlines())) <= 80

    # The losses equal those of a run with eight batches per epoch.
    rows = read_losses(dlrun, result)
    assert [row["step"] for row in rows] == list(range(1, 9))
    ran = worker("jax").train(dlrun.cwd, *SMALL, "epochs=1")
    assert sum(row["jax"] for row in rows) / 8 == pytest.approx(ran["train"]["loss"], rel=1e-6)


def test_weights_of_a_run_are_compared_though_only_one_backend_trains(dlrun):
    ran = worker("jax").train(dlrun.cwd, *SMALL, "epochs=1")
    words = ("parity", *SMALL, f"init_from={ran['path']}", "--backends", "numpy,jax")
    result = dlrun.json(*words, "augmentation=flip", "--steps", "1")
    assert "left out, since random numbers differ: augmentation.flip" in result["notes"]
    assert list(result["members"]) == ["jax", "numpy"]
    assert result["steps"]["differences"] == {}
    values = result["metrics"]["initial"]["accuracy"]["values"]
    assert values == pytest.approx(dict.fromkeys(values, ran["test"]["accuracy"]), abs=1e-6)


@pytest.mark.slow
def test_loops_agree_on_one_backend_with_random_layers_over_several_epochs(dlrun):
    words = ("parity", "model=mnist_mlp_dropout", *SMALL, "backend=jax", "--loops")
    tolerances = ("--tolerance", "1e-6", "--prediction-tolerance", "1e-7")
    result = dlrun.json(*words, "--random", "--steps", "10", *tolerances)
    assert result["within"]
    assert result["tolerance"] == {
        "predictions": 1e-7,
        "steps": 1e-6,
        "gated": 10,
        "why": "as typed",
    }
    assert list(result["members"]) == ["fit", "train_step", "raw"]
    assert result["notes"][0].startswith("random numbers are drawn by dropout")
    [first, *_, last] = read_losses(dlrun, result)
    assert last["raw"] < first["raw"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_devices_agree_on_one_backend_with_random_layers(dlrun, backend):
    words = ("parity", *SMALL, f"backend={backend}", "model=mnist_mlp_dropout", "--steps", "10")
    words = (*words, "--devices", "1,3", "loop=train_step")  # 3 divides no batch
    result = dlrun.json(*words, "--random")
    assert result["within"] and result["tolerance"]["gated"] == 10
    assert list(result["members"]) == ["1 device", "3 devices"]
    assert result["notes"][0].endswith("for each sample, whatever its device")
    if backend == "tensorflow":
        result = dlrun.json(*words)
        assert "set to 0 without --random: dropout.rate=0.5" in result["notes"]


@pytest.mark.slow
def test_a_difference_exits_1_and_names_its_first_step(bent):
    words = ("parity", "model=bent", "data.limit=256", "--backends", "jax,tensorflow")
    done = bent(*words, "--steps", "5")
    assert done.returncode == 1
    assert (
        "error: beyond tolerance: tensorflow (predictions, loss from step 1, initial loss)"
        in done.stderr
    )
    lines = {line.strip().partition("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert "!" in lines["predictions"]
    assert lines["loss of steps 1-3"][-2:] == ["!", "1.0e-03"]
    assert lines["loss of each"][-1] == "none"
    assert lines["beyond at step"][-1] == "1"
    assert "of models with batch normalisation" in " ".join(done.stdout.split())
    assert "set to 0, since random numbers differ: sparse.rate=0.25" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backends", "jax,trch"], "did you mean torch?"),
        (["--backends", "trch", "--backend", "jax"], "did you mean torch?"),
        (["--devices", "0", "--devices", "2"], "--devices 0,2: expected numbers from 1"),
        (["--backends", "jax"], "there is nothing to compare with"),
        (["model=torch_module"], "on backend=torch alone: there is nothing to compare with"),
        (["backend=torch"], "hint: --backends jax,torch"),
        (["--loops", "--backends", "jax"], "by backend=jax"),
        (["--loops", "loop=raw"], "--loops compares fit, train_step, raw"),
        (["--loops", "backend=numpy"], "backend 'numpy' can't train"),
        (["--tolerance", "nan"], "--tolerance nan: expected a number >= 0"),
        (["--steps", "0"], "--steps 0: must be"),
        (["model=mnist_mpl"], "did you mean model=mnist_mlp?"),
    ],
)
def test_mistakes_are_reported_before_anything_starts(dlrun, words, message):
    done = dlrun.here("parity", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not list(dlrun.cwd.iterdir())


def test_missing_backends_are_left_out_and_refused_by_name(dlrun):
    (dlrun.cwd / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name in ('jax', 'tensorflow') else"
        " found(name, *a)\n"
    )
    env = {"PYTHONPATH": str(dlrun.cwd)}
    done = dlrun("parity", env=env)
    assert done.returncode == 2
    assert "error: installed is torch: there is nothing to compare with" in done.stderr
    done = dlrun("parity", "--backends", "torch,jax", env=env)
    assert done.returncode == 2
    assert "error: backend 'jax' is not installed" in done.stderr


def test_a_backend_that_fails_is_named_and_leaves_nothing(dlrun):
    done = dlrun("parity", "optimizer=torch_sgd", "--backends", "jax,torch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: jax: optimizer: torch.optim.SGD needs backend 'torch'")
    assert "Traceback" not in done.stderr
    assert not list((dlrun.cwd / "runs" / "parity").iterdir())


BROKEN = """
import os
import keras

class Broken(keras.layers.Layer):
    def call(self, x, training=False):
        if training and "DIE" in os.environ:
            os.kill(os.getpid(), 9)
        if training:
            raise KeyError("no such feature")
        return x

    def compute_output_shape(self, shape):
        return shape

def broken(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    hidden = Broken()(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(num_classes)(hidden))
"""


@pytest.mark.slow
def test_the_reason_is_named_if_a_member_fails(dlrun):
    (dlrun.cwd / "my_broken.py").write_text(BROKEN)
    typed = ("model={_target_: my_broken.broken}", "~model.units", "data.limit=100")
    done = dlrun("parity", *typed, "--backends", "torch,jax", "--steps", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("error: torch: KeyError: ")
    assert "no such feature" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    done = dlrun("parity", *typed, "--backends", "torch,jax", "--steps", "2", env={"DIE": "1"})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: torch: its process was killed by SIGK")

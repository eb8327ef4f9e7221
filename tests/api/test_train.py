"""Real training on every backend; on jax alone where backends can't differ."""

import csv
import json
import re
import subprocess
import sys
from platform import node, python_version

import numpy as np
import pytest
import yaml

import dlrun as package
from conftest import slow_on

BACKENDS = ("jax", "tensorflow", "torch")
SCHEDULE = "callbacks.learning_rate_scheduler.schedule"
# From a good learning rate to a far too high one, so that the first epoch is the best.
WORSENING = ("+callbacks=learning_rate_scheduler", f"{SCHEDULE}.decay_rate=30", "data.limit=1000")

RESULT = {
    "run_dir": str,
    "status": str,
    "backend": str,
    "model": str,
    "loop": str,
    "epochs": int,
    "steps": int,
    "best_epoch": int,
    "stopped_by": str,
    "parameters": int,
    "train": dict,
    "validation": dict,
    "test": dict,
    "seconds": dict,
    "examples_per_second": float,
    "step_seconds": float,
    "peak_memory_bytes": int,
    "device_memory_bytes": type(None),  # on a CPU
}


def rows(run):
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def checkpoints(run):
    return sorted(path.name for path in run.glob("checkpoints/epoch-*"))


# The output of a finished run, on each backend.


@pytest.mark.parametrize("backend", BACKENDS)
def test_stdout_is_the_result_as_one_json_object(trained, backend):
    result = json.loads(trained.done(backend).stdout)
    assert {key: type(value) for key, value in result.items()} == RESULT
    assert result["status"] == "completed"
    assert (result["backend"], result["model"], result["loop"]) == (backend, "mnist_mlp", "fit")
    assert (result["epochs"], result["stopped_by"]) == (4, "epochs")
    assert result["parameters"] == 784 * 512 + 512 + 512 * 10 + 10
    for split in ("train", "validation", "test"):
        assert list(result[split]) == ["loss", "accuracy"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_seconds_are_those_of_the_phases(trained, backend):
    result = trained.result(backend)
    seconds = result["seconds"]
    assert list(seconds) == ["startup", "first_step", "train", "evaluate", "total"]
    assert all(value > 0 for value in seconds.values())
    assert seconds["first_step"] < seconds["train"]
    phases = seconds["startup"] + seconds["train"] + seconds["evaluate"]
    assert phases == pytest.approx(seconds["total"], abs=0.5)
    assert result["examples_per_second"] > 3000 / seconds["train"]
    assert 100e6 < result["peak_memory_bytes"] < 8e9


@pytest.mark.parametrize("backend", BACKENDS)
def test_progress_goes_to_stderr(trained, backend):
    done = trained.done(backend)
    assert [line for line in done.stderr.splitlines() if line.startswith("epoch  4/4  loss")]
    assert trained.result(backend)["run_dir"] in done.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_learns(trained, backend):
    assert trained.result(backend)["test"]["accuracy"] > 0.86


@pytest.mark.parametrize("backend", BACKENDS)
def test_run_directory_is_complete(trained, backend):
    run = trained.run(backend)
    assert {path.name for path in run.iterdir()} == {
        *("config.yaml", "overrides.yaml", "run.json", "metrics.csv", "checkpoints", "dlrun.log"),
        *(".lock", "inputs.json", "model.json", "model.keras", "evaluation", "plots"),
    }
    assert yaml.safe_load((run / "overrides.yaml").read_text()) == [
        *(f"backend={backend}", f"runs_dir={backend}", "epochs=4", "data.limit=3000"),
        "+export=keras",
    ]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["backend"]["name"] == backend
    assert (config["epochs"], config["data"]["limit"]) == (4, 3000)
    assert "epoch  4/4" in (run / "dlrun.log").read_text()


@pytest.mark.parametrize("backend", BACKENDS)
def test_record_says_how_to_repeat_the_run(trained, backend):
    record, result = trained.dlrun.record(trained.run(backend)), trained.result(backend)
    assert record["command"][:2] == ["dlrun", "train"]
    assert record["overrides"] == yaml.safe_load(
        (trained.run(backend) / "overrides.yaml").read_text()
    )
    assert set(record["versions"]) == {"python", "dlrun", "keras", backend, "numpy"}
    assert record["versions"]["python"] == python_version()
    assert record["versions"]["dlrun"] == package.__version__
    assert record["versions"]["numpy"] == np.__version__
    assert record["git"] == {"commit": None, "dirty": None}  # outside any repository
    assert (record["seed"], record["host"]) == (0, node())
    assert record["device"] == "cpu:0"
    assert record["cores"] >= 1
    assert record["input_shape"] == [28, 28]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", record["started"])
    # The result is part of the record.
    del result["run_dir"]
    assert {key: record[key] for key in result} == result


@pytest.mark.parametrize("backend", BACKENDS)
def test_metrics_csv_has_one_row_per_epoch(trained, backend):
    table, result = rows(trained.run(backend)), trained.result(backend)
    assert [row["epoch"] for row in table] == [1, 2, 3, 4]
    assert list(table[0])[:5] == ["epoch", "step", "samples", "seconds", "learning_rate"]
    assert table[0]["learning_rate"] == pytest.approx(0.001)
    assert table[-1]["loss"] < table[0]["loss"]
    best = table[result["best_epoch"] - 1]
    assert best["val_loss"] == min(row["val_loss"] for row in table)
    assert best["loss"] == result["train"]["loss"]
    assert best["val_accuracy"] == result["validation"]["accuracy"]


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_same_seed_gives_the_same_losses_and_quiet_prints_nothing(trained, dlrun, backend):
    words = ("train", "epochs=1", "data.limit=3000", "--quiet", "--json")
    done = dlrun.within(backend, *words)
    assert (done.returncode, done.stderr) == (0, "")
    # An epoch depends on seed and number alone: the first of one is the first of four.
    first = rows(trained.run(backend))[0]
    result = json.loads(done.stdout)
    assert result["train"]["loss"] == first["loss"]
    assert result["validation"]["loss"] == first["val_loss"]


def test_another_seed_gives_other_losses(trained, dlrun):
    result = dlrun.warm("jax", "train", "epochs=1", "data.limit=3000", "seed=1")
    assert result["train"]["loss"] != rows(trained.run("jax"))[0]["loss"]


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_only_the_chosen_framework_is_imported_with_tensorboard_too(dlrun, backend):
    done, imported = dlrun.traced(
        "train", f"backend={backend}", "smoke=true", "+callbacks=tensorboard"
    )
    assert done.returncode == 0, done.stderr
    assert imported & {"jax", "tensorflow", "torch", "matplotlib"} == {backend}
    for split, tags in (
        ("train", (b"epoch_loss", b"epoch_accuracy", b"epoch_learning_rate")),
        ("validation", (b"epoch_loss", b"epoch_accuracy")),
    ):
        [events] = (dlrun.only_run() / "tensorboard" / split).iterdir()
        assert "tfevents" in events.name
        content = events.read_bytes()
        assert all(tag in content for tag in tags)


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_loss_that_is_not_a_number_fails_the_run(dlrun, backend):
    done = dlrun.within(
        *(backend, "train", "smoke=true", "epochs=3", "--json"),
        *("optimizer.learning_rate=1e30", "+callbacks=terminate_on_nan"),
    )
    assert done.returncode == 1
    assert "error: the loss is nan in epoch 1, step 2 of 3" in done.stderr
    assert "learning_rate" in done.stderr
    record = dlrun.record(dlrun.only_run())
    assert record["status"] == "failed"
    assert "loss is nan" in record["error"]
    # Nothing of the failed epoch is kept.
    assert not (dlrun.only_run() / "metrics.csv").exists()
    assert not list((dlrun.only_run() / "checkpoints").iterdir())
    assert done.stdout == ""


@pytest.mark.slow
def test_exported_model_is_loaded_by_plain_keras_and_predicts_the_same(trained, dlrun):
    script = dlrun.cwd / "load.py"
    script.write_text(
        "import sys\n"
        "import keras, numpy as np\n"
        "inputs = np.load(sys.argv[1])\n"
        "for path in sys.argv[2:]:\n"
        "    model = keras.saving.load_model(path)\n"
        "    np.save(path.replace('/', '_') + '.npy', model.predict(inputs, verbose=0))\n"
    )
    inputs = np.random.default_rng(0).random((40, 28, 28), np.float32)
    np.save(dlrun.cwd / "inputs.npy", inputs)
    files = [trained.run(backend) / "model.keras" for backend in BACKENDS]
    loaded = dlrun(
        "inputs.npy", *files, command=[sys.executable, script], env={"KERAS_BACKEND": "jax"}
    )
    assert loaded.returncode == 0, loaded.stderr
    for backend, file in zip(BACKENDS, files, strict=True):
        by_keras = np.load(dlrun.cwd / (str(file).replace("/", "_") + ".npy"))
        words = ("--input", "inputs.npy", "--output", "ours.npz")
        dlrun.warm("jax", "predict", trained.run(backend), *words)
        with np.load(dlrun.cwd / "ours.npz") as ours:
            np.testing.assert_allclose(by_keras, ours["predictions"], atol=1e-5)
        np.testing.assert_allclose(by_keras.sum(axis=1), 1, atol=1e-5)


# Callbacks and choices, on jax.


def test_early_stopping_stops_and_the_best_epoch_is_the_result(dlrun):
    result = dlrun.warm(
        "jax", "train", *WORSENING, "epochs=5", "callbacks.early_stopping.patience=0"
    )
    assert (result["epochs"], result["best_epoch"]) == (2, 1)
    assert result["stopped_by"] == "early_stopping"
    assert result["train"]["loss"] == rows(dlrun.only_run())[0]["loss"]


def test_best_epoch_is_kept_beside_the_last_two_restored_and_tested(dlrun):
    result = dlrun.warm("jax", "train", *WORSENING, "epochs=4", "~callbacks.early_stopping")
    assert (result["epochs"], result["best_epoch"]) == (4, 1)
    assert checkpoints(dlrun.path(result)) == ["epoch-0001", "epoch-0003", "epoch-0004"]
    table = rows(dlrun.path(result))
    rates = [row["learning_rate"] for row in table]
    assert rates == pytest.approx([0.001, 0.03, 0.9, 27], rel=1e-5)
    best = dlrun.warm("jax", "evaluate", result["run_dir"])
    last = dlrun.warm("jax", "evaluate", result["run_dir"], "--checkpoint", "last")
    assert (best["epoch"], last["epoch"]) == (1, 4)
    assert best["metrics"] == pytest.approx(result["test"], abs=1e-6)
    assert last["metrics"]["loss"] > 2 * result["test"]["loss"]


def test_without_the_checkpoint_callback_evaluation_says_that_there_is_none(dlrun):
    result = dlrun.warm("jax", "train", "smoke=true", "~callbacks.checkpoint")
    assert not (dlrun.path(result) / "checkpoints").exists()
    done = dlrun.within("jax", "evaluate", "latest")
    assert done.returncode == 2
    assert f"error: {result['run_dir']} has no checkpoint" in done.stderr


def test_all_samples_can_train_where_the_training_loss_is_monitored(dlrun):
    words = ("smoke=true", "data.validation_samples=0", "task.monitor=loss")
    result = dlrun.warm("jax", "train", *words)
    assert result["validation"] == {}
    assert "val_loss" not in rows(dlrun.path(result))[0]
    assert checkpoints(dlrun.path(result)) == ["epoch-0001"]


def test_another_data_set_gives_the_model_its_own_shapes(dlrun):
    result = dlrun.warm("jax", "train", "data=blobs", "epochs=3")
    assert result["parameters"] == 2 * 512 + 512 + 512 * 2 + 2
    assert result["test"]["accuracy"] > 0.95


def test_mixed_precision_trains_and_its_checkpoint_is_read_back(dlrun):
    words = ("precision=mixed_bfloat16", "data.limit=1000", "epochs=2")
    result = dlrun.warm("jax", "train", *words)
    assert dlrun.record(dlrun.path(result))["precision"] == "mixed_bfloat16"
    assert result["test"]["accuracy"] > 0.6
    again = dlrun.warm("jax", "evaluate", result["run_dir"])
    assert again["metrics"] == pytest.approx(result["test"], abs=1e-5)
    exact = dlrun.warm("jax", "evaluate", result["run_dir"], "precision=float32")
    assert exact["metrics"]["loss"] == pytest.approx(result["test"]["loss"], rel=0.02)
    assert exact["metrics"]["loss"] != again["metrics"]["loss"]


def test_learning_rate_is_cut_on_a_plateau(dlrun):
    result = dlrun.warm(
        *("jax", "train", "smoke=true", "epochs=3", "+callbacks=reduce_lr_on_plateau"),
        *("+callbacks.reduce_lr_on_plateau.min_delta=100", "callbacks.early_stopping.patience=9"),
    )
    rates = [row["learning_rate"] for row in rows(dlrun.path(result))]
    assert rates[0] == pytest.approx(0.001)
    assert rates[-1] < 0.0002


def test_learning_rate_scheduler_lowers_the_rate_each_epoch(dlrun):
    words = ("smoke=true", "epochs=3", "+callbacks=learning_rate_scheduler")
    result = dlrun.warm("jax", "train", *words)
    rates = [row["learning_rate"] for row in rows(dlrun.path(result))]
    assert rates == pytest.approx([0.001, 0.0009, 0.00081], rel=1e-5)


def test_loss_that_turns_nan_in_a_later_epoch_fails_the_run(dlrun):
    done = dlrun.within(
        *("jax", "train", "smoke=true", "epochs=3", "+callbacks=learning_rate_scheduler"),
        f"{SCHEDULE}.decay_rate=1e20",
    )
    assert done.returncode == 1
    assert dlrun.record(dlrun.only_run())["status"] == "failed"
    # The checkpoint of the epoch before the failure is usable.
    assert dlrun.warm("jax", "evaluate", "latest")["epoch"] == 1


def test_terminate_on_nan_prints_only_the_json_object_on_stdout(dlrun):
    done = dlrun.within(
        *("jax", "train", "smoke=true", "epochs=3", "--json"),
        *("+callbacks=[learning_rate_scheduler,terminate_on_nan]", f"{SCHEDULE}.decay_rate=1e20"),
    )
    assert len(rows(dlrun.only_run())) == 1
    # Keras prints "Batch 1: Invalid loss, terminating training".
    assert "Invalid loss" not in done.stdout
    for line in done.stdout.splitlines():
        json.loads(line)


def test_git_commit_is_recorded_and_whether_files_differ_from_it(dlrun):
    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=dlrun.cwd,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    (dlrun.cwd / "notes.txt").write_text("one")
    git("init", "--quiet")
    git("add", "notes.txt")
    git("commit", "--quiet", "--message", "one")
    clean = dlrun.record(dlrun.path(dlrun.warm("jax", "train", "smoke=true")))
    (dlrun.cwd / "notes.txt").write_text("two")
    dirty = dlrun.record(dlrun.path(dlrun.warm("jax", "train", "smoke=true")))
    commit = git("rev-parse", "HEAD")
    assert clean["git"] == {"commit": commit, "dirty": False}
    assert len(dirty["git"].pop("diff")) == 16
    assert dirty["git"] == {"commit": commit, "dirty": True}


# The user's own model: one file and one YAML.

SEQUENTIAL = """
import keras

def mine(input_shape, num_classes, *, width=16):
    return keras.Sequential([
        keras.layers.Flatten(), keras.layers.Dense(width), keras.layers.Dense(num_classes)
    ])
"""
FUNCTIONAL = """
import keras

def mine(input_shape, num_classes, *, width=16):
    inputs = keras.Input(input_shape)
    flat = keras.layers.Flatten()(inputs)
    hidden = keras.layers.Dense(width, activation="relu")(flat)
    skip = keras.layers.Concatenate()([flat, hidden])
    return keras.Model(inputs, keras.layers.Dense(num_classes)(skip))
"""
SUBCLASSED = """
import keras

class mine(keras.Model):
    def __init__(self, input_shape, num_classes, *, width=16):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(width, activation="relu")
        self.dropout = keras.layers.Dropout(0.1)
        self.logits = keras.layers.Dense(num_classes)

    def call(self, inputs, training=False):
        hidden = self.hidden(self.flatten(inputs))
        return self.logits(self.dropout(hidden, training=training))
"""


def write_model(cwd, source):
    (cwd / "my_models.py").write_text(source)
    (cwd / "configs" / "model").mkdir(parents=True)
    (cwd / "configs" / "model" / "mine.yaml").write_text(
        "# A model of my own.\n_target_: my_models.mine\nwidth: 16\n"
    )


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        pytest.param(SEQUENTIAL, 784 * 24 + 24 + 240 + 10, id="Sequential-without-Input"),
        pytest.param(FUNCTIONAL, 784 * 24 + 24 + 808 * 10 + 10, id="Functional"),
        pytest.param(SUBCLASSED, 784 * 24 + 24 + 240 + 10, id="subclassed"),
    ],
)
def test_own_model_is_one_file_and_one_yaml(dlrun, source, parameters):
    write_model(dlrun.cwd, source)
    words = ("model=mine", "model.width=24", "smoke=true", "epochs=2")
    result = dlrun.warm("jax", "train", *words)
    assert result["model"] == "mine"
    assert result["run_dir"].startswith("runs/mine/")
    assert result["parameters"] == parameters
    again = dlrun.warm("jax", "evaluate", "latest")
    assert again["metrics"] == pytest.approx(result["test"], abs=1e-6)


GET_CONFIG = """
    def get_config(self):
        return {"input_shape": (28, 28), "num_classes": 10}
"""


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_own_subclassed_model_trains_and_exports_on_the_other_backends(dlrun, backend):
    write_model(dlrun.cwd, SUBCLASSED + GET_CONFIG)
    result = dlrun.warm(backend, "train", "model=mine", "smoke=true", "--export-keras")
    assert (dlrun.path(result) / "model.keras").stat().st_size > 0


def test_own_model_that_keras_cannot_export_is_refused_before_it_trains(dlrun):
    write_model(dlrun.cwd, SUBCLASSED)
    done = dlrun.within("jax", "train", "model=mine", "smoke=true", "--export-keras")
    assert done.returncode == 2
    [error] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "get_config" in error
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.parametrize("error", ["RuntimeError", "ValueError", "KeyError", "OSError"])
def test_own_model_that_raises_is_reported_in_one_line_and_nothing_is_started(dlrun, error):
    write_model(dlrun.cwd, SEQUENTIAL)
    (dlrun.cwd / "my_models.py").write_text(
        f"def mine(input_shape, num_classes, *, width):\n    raise {error}('the well is dry')\n"
    )
    done = dlrun.within("jax", "train", "model=mine", "smoke=true")
    assert "Traceback" not in done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("error: model: my_models.mine")
    assert "the well is dry" in first
    assert done.returncode == 2
    assert not (dlrun.cwd / "runs").exists()


def test_own_model_with_a_syntax_error_is_reported_in_one_line(dlrun):
    write_model(dlrun.cwd, "def mine(:\n")
    done = dlrun.within("jax", "train", "model=mine", "smoke=true")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "my_models" in done.stderr.splitlines()[0]
    assert not (dlrun.cwd / "runs").exists()


def test_own_model_that_raises_in_training_fails_with_the_traceback_in_the_record(dlrun):
    raising = (
        "        if training:\n            raise ValueError('not in training')\n        hidden ="
    )
    write_model(dlrun.cwd, SUBCLASSED.replace("        hidden =", raising))
    done = dlrun.within("jax", "train", "model=mine", "smoke=true")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("hint: the traceback is in runs/mine/")
    record = dlrun.record(dlrun.only_run())
    assert record["status"] == "failed"
    assert "Traceback" in record["traceback"]


def test_own_model_whose_outputs_do_not_fit_the_labels_is_refused(dlrun):
    write_model(dlrun.cwd, SEQUENTIAL.replace("keras.layers.Flatten(), ", ""))
    done = dlrun.within("jax", "train", "model=mine", "smoke=true")
    assert done.returncode == 2
    assert "outputs, (samples, 28, 10); the data set's have (samples,)" in done.stderr
    assert not (dlrun.cwd / "runs").exists()


def test_own_model_that_prints_leaves_stdout_to_the_json_object(dlrun):
    write_model(dlrun.cwd, SEQUENTIAL.replace("    return", "    print('built')\n    return"))
    done = dlrun("train", "model=mine", "smoke=true", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "completed"
    assert "built" in done.stderr

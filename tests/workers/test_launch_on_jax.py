"""dlrun launch on jax: the processes compute one program, with the numbers of one device."""

import csv
import json
import subprocess
import sys

import pytest

from trainings import worker

NET = """
import keras

def net(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(num_classes),
    ], name="net")
"""
# 131 samples in batches of 50: 50, 50 and 31, which 2 devices can't share evenly.
RUN = (
    "backend=jax", "model=net", "data=sklearn", "data.name=digits", "data.limit=131",
    "batch_size=50", "task.class_weight=balanced", "+optimizer.global_clipnorm=0.5",
    "+optimizer.gradient_accumulation_steps=2", "device=cpu", "+metrics=f1",
)  # fmt: skip
SPREAD = ("distribution=data_parallel",)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("launched")
    (path / "my_net.py").write_text(NET)
    (path / "configs" / "model").mkdir(parents=True)
    (path / "configs" / "model" / "net.yaml").write_text("_target_: my_net.net\n")
    return path


def launch(place, *words):
    """The result of a run in two processes, with the rows of its ``metrics.csv``."""
    command = [sys.executable, "-m", "dlrun", "launch", "--per-node", "2", "--", *words, "--json"]
    ended = subprocess.run(
        command, check=False, cwd=place, text=True, capture_output=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)  # nothing else is on stdout, which gloo writes to
    with (place / result["run_dir"] / "metrics.csv").open() as file:
        rows = [{k: float(v or "nan") for k, v in row.items()} for row in csv.DictReader(file)]
    return {**result, "rows": rows, "log": ended.stderr}


def close(one, other):
    for row, same in zip(one["rows"], other["rows"], strict=True):
        for name in row:
            if "seconds" not in name and "per_second" not in name:
                expected = pytest.approx(same[name], rel=1e-5, abs=1e-6, nan_ok=True)
                assert row[name] == expected, name
    assert one["test"] == pytest.approx(other["test"], rel=1e-5)


@pytest.mark.trains
@pytest.mark.parametrize(
    "loop", ["fit", *(pytest.param(loop, marks=pytest.mark.slow) for loop in ("raw", "train_step"))]
)
def test_two_processes_of_jax_have_the_numbers_of_one(place, loop):
    two = launch(place, "train", *RUN, *SPREAD, f"loop={loop}", "epochs=2")
    close(two, worker("jax").train(place, *RUN, "epochs=2"))
    assert "spread data_parallel on cpu:0 to cpu:1, batches of 50, 25 for each device" in two["log"]


@pytest.mark.trains
@pytest.mark.slow
def test_fifty_steps_of_two_processes_go_on_on_one_device_and_the_other_way(place):
    longer = worker("jax").train(place, *RUN, "epochs=18")
    launched = launch(place, "train", *RUN, *SPREAD, "loop=raw", "epochs=17")  # 51 steps
    alone = ("epochs=18", "distribution=none", "device.count=1")
    close(worker("jax").resume(place, launched["run_dir"], *alone), longer)
    one = worker("jax").train(place, *RUN, "epochs=17")
    close(launched, one)
    spread = (*SPREAD, "device.count=2", "epochs=18")
    close(launch(place, "resume", str(one["path"]), *spread), longer)


@pytest.mark.trains
@pytest.mark.slow
def test_augmentation_and_early_stopping_are_those_of_one(place):
    more = (
        "backend=jax", "model=mnist_mlp", "data.limit=131", "batch_size=50", "device=cpu",
        "+augmentation=flip", "epochs=4", "callbacks.early_stopping.patience=1",
        "callbacks.early_stopping.min_delta=10",
    )  # fmt: skip
    two = launch(place, "train", *SPREAD, *more)
    one = worker("jax").train(place, *more)
    close(two, one)
    assert two["stopped_by"] == one["stopped_by"] == "early_stopping"

"""dlrun launch on jax: the processes compute one program, with the numbers of one device."""

import csv
import json
import subprocess
import sys

import pytest

from spreads import RUN, assert_same_run, write_net
from trainings import worker

DIGITS = """
import sklearn.datasets

def load():
    with open("reads", "a") as file:
        file.write("read\\n")
    return sklearn.datasets.load_digits(return_X_y=True)
"""
# 131 samples in batches of 50: 50, 50 and 31, which 2 devices can't share evenly.
TRAIN = ("backend=jax", *RUN, "data.limit=131")
SPREAD = ("distribution=data_parallel",)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("launched"))


def launch(place, *words):
    """The result of a run in two processes, with the rows of its ``metrics.csv``."""
    command = [sys.executable, "-m", "dlrun", "launch", "--per-node", "2", "--", *words, "--json"]
    ended = subprocess.run(
        command, check=False, cwd=place, text=True, capture_output=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)  # nothing else is on stdout, which gloo writes to
    with (place / result["run_dir"] / "metrics.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return {**result, "rows": rows, "log": ended.stderr}


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize("loop", ["fit", "raw", "train_step"])
def test_two_processes_of_jax_have_the_numbers_of_one(place, loop):
    (place / "my_digits.py").write_text(DIGITS)
    digits = ("data=function", "data.function=my_digits.load", "task=classification")
    words = (*(word for word in TRAIN if not word.startswith(("data=", "data.name"))), *digits)
    two = launch(place, "train", *words, *SPREAD, f"loop={loop}")
    assert (place / "reads").read_text() == "read\n"  # by one of them, for both
    assert_same_run(two, worker("jax").train(place, *words))
    (place / "reads").unlink()
    assert "spread data_parallel on cpu:0 to cpu:1, batches of 50, 25 for each device" in two["log"]


@pytest.mark.trains
@pytest.mark.slow
def test_fifty_steps_of_two_processes_go_on_on_one_device_and_the_other_way(place):
    longer = worker("jax").train(place, *TRAIN, "epochs=18")
    launched = launch(place, "train", *TRAIN, *SPREAD, "loop=raw", "epochs=17")  # 51 steps
    alone = ("epochs=18", "distribution=none", "device.count=1")
    assert_same_run(worker("jax").resume(place, launched["run_dir"], *alone), longer)
    one = worker("jax").train(place, *TRAIN, "epochs=17")
    assert_same_run(launched, one)
    spread = (*SPREAD, "device.count=2", "epochs=18")
    assert_same_run(launch(place, "resume", str(one["path"]), *spread), longer)


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
    assert_same_run(two, one)
    assert two["stopped_by"] == one["stopped_by"] == "early_stopping"

"""dlrun summary --memory: what a training step takes, and the process of a run."""

import json
import os
import platform
import subprocess
import sys

import pytest

from conftest import in_turn
from trainings import BACKENDS

WORDS = ("summary", "model=mnist_mlp", "model.units=64", "data.limit=300", "batch_size=100")
WEIGHTS = (784 * 64 + 64 + 64 * 10 + 10) * 4


@pytest.mark.trains
@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_the_parts_are_those_of_the_shapes_and_a_step_holds_more(dlrun, backend):
    memory = dlrun.warm(backend, *WORDS, "--memory")["memory"]
    # Adam has two slots a weight, an iteration and a learning rate.
    assert memory["weights"] == WEIGHTS
    assert 0 < memory["optimizer"] - 2 * WEIGHTS <= 16
    assert memory["batch"] == 100 * (784 + 1) * 4
    # Python, the framework and its compiled code take more than a small model.
    assert 1.5e8 < memory["process"] < 3e9
    if backend == "tensorflow":
        assert (memory["step"], memory["total"]) == (None, None)
        return
    parts = [memory[name] for name in ("weights", "optimizer", "batch", "step")]
    assert memory["total"] == sum(parts)


NET = """
import keras


def wide(input_shape, num_classes):
    # 2,000,000 numbers for each sample that the step back needs, and little to compute
    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(1)]
    layers += [keras.layers.RepeatVector(2_000_000), keras.layers.Activation("tanh")]
    layers += [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(num_classes)]
    return keras.Sequential(layers)
"""


@pytest.mark.trains
@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, ["fit", "raw"]))
def test_the_process_is_as_large_as_that_of_the_run(dlrun, backend, loop):
    (dlrun.cwd / "my_net.py").write_text(NET)
    words = ["model=mnist_mlp", "model._target_=my_net.wide", "~model.units", "data.limit=64"]
    words += ["batch_size=16", f"loop={loop}", "--trust", "my_net"]
    memory = dlrun.warm(backend, "summary", *words, "--memory")["memory"]
    run = dlrun.warm(backend, "train", *words, "epochs=1")
    assert memory["process"] == pytest.approx(run["peak_memory_bytes"], rel=0.2)
    if backend == "torch":  # XLA computes them anew
        assert memory["step"] > 16 * 2_000_000 * 4


ALLOCATOR = """
import json, resource
from dlrun.api.summary import summary

summary(["backend=jax", *{words}], memory=True)

import numpy as np

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(50_000_000, "uint8")
print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * 4096))
"""


@pytest.mark.trains
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a run takes the system's allocator")
def test_it_is_measured_with_the_allocator_of_a_run_on_jax(tmp_path):
    # Without, the process of a convnet seemed to need two thirds of what its run takes.
    env = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}  # so that pages can be counted
    code = ALLOCATOR.format(words=list(WORDS[1:]))
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) < 200e6  # pages cleared anew, of a billion bytes


@pytest.mark.trains
def test_what_it_does_not_know_is_refused(dlrun):
    spread = ("distribution=data_parallel", "device.count=2", "device=cpu")
    done = dlrun.within("jax", *WORDS, "--memory", *spread)
    assert done.returncode == 2
    assert "--memory: distribution=data_parallel is not supported" in done.stderr
    done = dlrun.within("numpy", *WORDS, "--memory")
    assert done.returncode == 2
    assert "backend 'numpy' can't train" in done.stderr

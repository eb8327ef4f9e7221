"""dlrun summary --memory: what a training step takes, and the process of a run."""

import json

import pytest

from conftest import in_turn
from trainings import BACKENDS, worker

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


@pytest.mark.trains
def test_another_process_reads_the_files_so_that_their_memory_is_not_counted(dlrun):
    numbers = range(50_000)
    lines = ["a,b,text,y", *(f"{n % 97},{n % 89},text {n},{n % 83}" for n in numbers)]
    (dlrun.cwd / "table.csv").write_text("\n".join(lines))
    words = ["summary", "data=csv", "data.path=table.csv", "data.target=y", "task=regression"]
    words += ["model=tabular", "backend=torch", "--memory", "--json"]
    cache = {"DLRUN_CACHE": str(dlrun.cwd / "cache")}
    first, second = (
        json.loads(dlrun(*words, env=cache).stdout)["memory"]["process"] for _ in range(2)
    )
    assert first == pytest.approx(second, rel=0.05)


@pytest.mark.trains
def test_it_keeps_nothing_compiled_that_the_run_would_find(dlrun):
    words = (*WORDS[:-1], "batch_size=1000", "backend=jax", "--memory")
    done = dlrun(*words, env={"XDG_CACHE_HOME": str(dlrun.cwd)})
    assert done.returncode == 0, done.stderr
    assert "inputs and targets of 300 samples" in done.stdout
    assert not list(dlrun.cwd.glob("dlrun/jax/**/*-cache"))


def test_a_trial_is_long_enough_for_torch_to_trace_a_step_unless_that_takes_long(tmp_path):
    script = """
import time
from dlrun.assembly import memory
usual = memory.SECONDS, memory.SECONDS_FOR_ENOUGH
memory.SECONDS, memory.SECONDS_FOR_ENOUGH = 0.03, 0.4
for name, seconds in (("fast", 0.006), ("slow", 0.06)):
    trained = found[name] = []
    def train(steps, validates=False):
        trained.append(steps)
        time.sleep(steps * seconds)
    memory._trial(train)
memory.SECONDS, memory.SECONDS_FOR_ENOUGH = usual
"""
    found = worker("torch").run(tmp_path, script)
    # To time a step after a first one, as a run, and once more. Tracing begins at the eighth step.
    assert found["fast"][:2] == found["slow"][:2] == [2, 2]
    assert found["fast"][2:] == [10, 10] and found["slow"][2:] == [2, 2]


@pytest.mark.trains
def test_what_it_does_not_know_is_refused(dlrun):
    spread = ("distribution=data_parallel", "device.count=2", "device=cpu")
    done = dlrun.within("jax", *WORDS, "--memory", *spread)
    assert done.returncode == 2
    assert "--memory: distribution=data_parallel is not supported" in done.stderr
    done = dlrun.within("numpy", *WORDS, "--memory")
    assert done.returncode == 2
    assert "backend 'numpy' can't train" in done.stderr

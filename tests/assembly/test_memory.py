"""dlrun summary --memory: what a training step takes."""

import pytest

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
    if backend == "tensorflow":
        assert (memory["step"], memory["total"]) == (None, None)
        return
    assert memory["step"] > WEIGHTS / 2  # the gradients, or what they are applied with
    assert memory["total"] == sum(v for name, v in memory.items() if name != "total")
    twice = dlrun.warm(backend, *WORDS, "batch_size=200", "--memory")["memory"]
    assert twice["step"] > memory["step"]


@pytest.mark.trains
def test_what_it_does_not_know_is_refused(dlrun):
    spread = ("distribution=data_parallel", "device.count=2", "device=cpu")
    done = dlrun.within("jax", *WORDS, "--memory", *spread)
    assert done.returncode == 2
    assert "--memory: distribution=data_parallel is not supported" in done.stderr
    done = dlrun.within("numpy", *WORDS, "--memory")
    assert done.returncode == 2
    assert "backend 'numpy' can't train" in done.stderr

"""dlrun bench: what each backend and loop takes, and what train says of it later."""

import pytest

from conftest import Dlrun
from trainings import Worker

SMALL = ("model=mnist_mlp", "model.units=8", "batch_size=32", "data.limit=640")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A measurement of a loop on jax, and the environment with what it kept."""
    dlrun = Dlrun(tmp_path_factory.mktemp("bench"))
    env = {"XDG_CACHE_HOME": str(dlrun.cwd / "cache")}
    result = dlrun.json("bench", *SMALL, "backend=jax", "--loops", "raw", "--budget", 26, env=env)
    return dlrun, env, result


@pytest.mark.trains
def test_a_loop_has_figures_and_is_recommended(measured):
    _, _, result = measured
    assert [(row["backend"], row["loop"]) for row in result["rows"]] == [("jax", "raw")]
    for row in result["rows"]:
        assert row["error"] is None
        assert 0 < row["step_seconds"] < row["first_step_seconds"]
        assert row["step_spread"][0] <= row["step_seconds"] <= row["step_spread"][1]
        assert row["examples_per_second"] == pytest.approx(32 / row["step_seconds"])
        assert list(row["latency_seconds"]) == ["1", "8", "32", "64"]
        assert row["peak_memory_bytes"] > 1e7
    best = min(result["rows"], key=lambda row: row["step_seconds"])
    assert best["tuned"]["tried"]
    assert result["use"][0] == "backend=jax"
    assert result["recommendation"].startswith("use    backend=jax loop=raw")
    assert result["seconds"] < 60


KEEP = """
from dlrun.config.compose import compose
from dlrun.training.speeds import keep_speeds
keep_speeds(compose({typed}), [dict(backend="tensorflow", loop="fit", step_seconds={seconds})])
"""


@pytest.mark.slow
def test_train_warns_once_of_steps_ten_times_as_slow_as_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # of the worker, see below
    (tmp_path / "my_net.py").write_text(
        "import time\nimport keras\n\n"
        "class Slow(keras.layers.Layer):\n"
        "    def call(self, x):\n        time.sleep(0.03)\n        return x\n\n"
        "def slow(input_shape, num_classes, units=1):\n"
        "    layers = [keras.Input(input_shape), keras.layers.Flatten(), Slow()]\n"
        "    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])\n"
    )
    torch = Worker("torch")  # a process with that variable
    typed = ["model=mnist_mlp", "model._target_=my_net.slow", "batch_size=8", "data.limit=320"]
    for seconds, warnings in ((1e-3, 1), (1e-2, 0)):
        torch.run(tmp_path, KEEP.format(typed=[*typed, "backend=torch"], seconds=seconds))
        log = torch.train(tmp_path, *typed, "epochs=1")["log"]
        assert log.count("choose backend=tensorflow") == warnings, log
    torch.close()


def test_a_wrong_config_is_refused_before_anything_starts(dlrun):
    done = dlrun("bench", "model=mnist_mpl")
    assert done.returncode == 2
    assert "did you mean model=mnist_mlp?" in done.stderr
    assert dlrun("bench", "--loops", "fitt").returncode == 2
    assert dlrun("bench", "--budget", "0").returncode == 2

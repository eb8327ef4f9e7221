"""dlrun bench: what each backend and loop takes, and what train says of it later."""

import pytest

from conftest import Dlrun
from dlrun.proofs.bench import limit_of
from dlrun.proofs.bench_batches import choose_rows
from dlrun.report.batch_sizes import conclusion
from dlrun.report.bench import bench_table, recommendation
from trainings import Worker

SMALL = ("model=mnist_mlp", "model.units=8", "batch_size=32", "data.limit=640")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A measurement of a loop on jax, and the environment with what it kept."""
    dlrun = Dlrun(tmp_path_factory.mktemp("bench"))
    env = {"XDG_CACHE_HOME": str(dlrun.cwd / "cache")}
    result = dlrun.json("bench", *SMALL, "backend=jax", "--loops", "raw", "--budget", 150, env=env)
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
    assert result["seconds"] < 165


COMPILES_LONG = """
import time

import keras


class Slow(keras.layers.Layer):
    def call(self, inputs, training=False):
        if training:
            time.sleep(5)  # while jax traces
        return inputs


def slow(input_shape, num_classes):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), Slow()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])
"""


@pytest.mark.slow
@pytest.mark.trains
def test_what_compiles_longer_than_there_is_time_to_measure_is_no_step(dlrun):
    (dlrun.cwd / "my_net.py").write_text(COMPILES_LONG)
    env = {"XDG_CACHE_HOME": str(dlrun.cwd / "cache")}
    words = ("model._target_=my_net.slow", "~model.units", "data.limit=4096", "backend=jax")
    [row] = dlrun.json("bench", *words, "--loops", "raw", "--budget", 40, env=env)["rows"]
    assert row["first_step_seconds"] > 5
    assert row["step_seconds"] < 0.1


WIDE = """
import keras


def wide(input_shape, num_classes):
    # 24 MB for each sample, and little to compute
    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(1)]
    layers += [keras.layers.RepeatVector(6_000_000), keras.layers.GlobalAveragePooling1D()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])
"""


@pytest.mark.trains
def test_batches_are_tried_until_the_data_end(dlrun):
    env = {"XDG_CACHE_HOME": str(dlrun.cwd / "cache")}
    words = (*SMALL, "data.limit=64", "backend=jax", "loop=raw", "--batch", "--budget", 120)
    result = dlrun.json("bench", *words, env=env)
    [row] = result["rows"]
    found = row["batch"]
    assert [(one["batch_size"], one["fits"]) for one in found["rows"]] == [(32, True), (64, True)]
    assert (found["stopped_by"], found["largest"], row["error"]) == ("data", 64, None)
    # The config's size is that of the bench itself, which is not measured again.
    assert found["rows"][0]["step_seconds"] == row["step_seconds"]
    assert result["use"] == ["backend=jax", "loop=raw", *found["use"]]
    assert (
        "the largest that fits is 64, as the training set has 64 samples"
        in (result["recommendation"])
    )
    assert "tuned" not in row


@pytest.mark.slow
@pytest.mark.trains
def test_the_largest_batch_within_a_limit_and_the_fastest_one_are_found(dlrun):
    (dlrun.cwd / "my_net.py").write_text(WIDE)
    typed = ["model=mnist_mlp", "model._target_=my_net.wide", "~model.units", "data.limit=50"]
    typed += ["batch_size=8", "backend=torch", "loop=raw"]
    limits = ["--batch", "--memory-limit", 0.95, "--budget", 150]
    result = dlrun.json("bench", *typed, *limits, "--trust", "my_net")
    [row] = result["rows"]
    found = row["batch"]
    assert found["stopped_by"] == "memory"
    assert found["rows"][0]["batch_size"] == 8
    assert not found["rows"][-1]["fits"]
    assert "out of memory" in found["rows"][-1]["error"]
    fitting = {one["batch_size"]: one for one in found["rows"] if one["fits"]}
    assert found["largest"] == max(fitting) < 32  # whose activations alone take 0.75 GB
    assert all(one["peak_memory_bytes"] <= 0.95e9 for one in fitting.values())
    rates = {size: one["examples_per_second"] for size, one in fitting.items()}
    assert found["fastest"] == max(rates, key=rates.get)
    # It is as fast as that of the bench itself, which is not measured again.
    assert rates[8] == row["examples_per_second"]
    assert result["use"] == ["backend=torch", "loop=raw", *found["use"]]
    assert found["use"][0] in result["recommendation"]
    assert f"the largest that fits is {found['largest']}, as more runs" in result["recommendation"]
    assert "tuned" not in row


def bench_row(backend, loop, rate=None, error=None, batch=None, samples=70):
    """A row at a batch size of 32, of a CPU."""
    return {
        "backend": backend,
        "loop": loop,
        "error": error,
        "device": "cpu:0",
        "train_samples": samples,
        "start_seconds": 2.0,
        "first_step_seconds": 0.1,
        "step_seconds": rate and 32 / rate,
        "step_spread": None,
        "examples_per_second": rate,
        "peak_memory_bytes": 400_000_000,
        "device_memory_bytes": None,
        "latency_seconds": {"1": 0.001},
        **({"batch": batch} if batch else {}),
    }


def sizes(*rates):
    """What a search has found: the sizes from 32 on with so many examples per second."""
    rows = [
        {
            "batch_size": 32 * 2**n,
            "fits": True,
            "examples_per_second": rate,
            "peak_memory_bytes": 500_000_000,
            "device_memory_bytes": None,
        }
        for n, rate in enumerate(rates)
    ]
    found = {"rows": rows, "stopped_by": "memory", "max": None, "train_samples": 70}
    return {**found, **conclusion(found)}


def test_the_fastest_batch_decides_and_not_the_step_of_the_config():
    rows = [
        bench_row("jax", "raw", 900.0, batch=sizes(900.0, 1000.0)),
        bench_row("torch", "fit", 700.0),
        bench_row("torch", "raw", 800.0, batch=sizes(800.0, 3000.0, 2900.0)),
        bench_row("tensorflow", "raw", error="out of memory"),
    ]
    found = recommendation(rows)
    assert found["use"] == ["backend=torch", "loop=raw", "batch_size=64"]
    assert found["recommendation"] == (
        "use    backend=torch loop=raw batch_size=64: 3,000 examples/s; the largest that fits is"
        " 128, as more runs out of memory; 3 times as long on jax; no batch size was"
        " found on tensorflow"
    )
    rows[3]["batch"] = {"use": None, "rows": [], "error": "batch_size=16: out of memory"}
    told = {"model": "m", "data": "d", "batch_size": 32, "precision": "float32", "device": "cpu:0"}
    blocks = bench_table({**told, "rows": rows, "note": None, **found}).split("\n\n")
    assert [" ".join(line.split()) for line in blocks[3].splitlines()] == [
        "backend loop largest that fits memory fastest examples/s recommended examples/s",
        "jax raw 64 500.0 MB 64 1,000 64 1,000 as more runs out of memory",
        "torch raw 128 500.0 MB 64 3,000 64 3,000 as more runs out of memory",
        "tensorflow raw batch_size=16: out of memory",
    ]
    assert "best settings" not in blocks[2]


def test_batches_are_searched_in_the_fastest_loop_of_each_backend_or_in_those_that_are_named():
    rows = [
        bench_row("jax", "fit", 100.0),
        bench_row("jax", "raw", 200.0),
        bench_row("torch", "fit", error="no second step in 4 s"),
        bench_row("torch", "raw", error="out of memory: 2 GB"),
    ]
    chosen = [(row["backend"], row["loop"]) for row in choose_rows(rows, every_loop=False)]
    assert chosen == [("jax", "raw"), ("torch", "raw")]
    chosen = [(row["backend"], row["loop"]) for row in choose_rows(rows, every_loop=True)]
    assert chosen == [("jax", "raw"), ("jax", "fit"), ("torch", "raw")]


KEEP = """
from dlrun.config.compose import compose
from dlrun.training.speeds import keep_speeds
keep_speeds(compose({typed}), [dict(backend="tensorflow", loop="fit", step_seconds={seconds})])
"""


ENDLESS = ["~callbacks.early_stopping"]


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["fit", "train_step"])  # raw replays a trace, without the sleep
def test_train_warns_once_of_steps_ten_times_as_slow_as_elsewhere(tmp_path, monkeypatch, loop):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # of the worker, see below
    (tmp_path / "my_net.py").write_text(
        "import time\nimport keras\n\n"
        "class Slow(keras.layers.Layer):\n"
        "    def call(self, x, training=False):\n"
        "        time.sleep(0.05 if training else 0.1)\n        return x\n\n"
        "def slow(input_shape, num_classes, units=1):\n"
        "    layers = [keras.Input(input_shape), keras.layers.Flatten(), Slow()]\n"
        "    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])\n"
    )
    torch = Worker("torch")  # a process with that variable
    typed = ["model=mnist_mlp", "model._target_=my_net.slow", "batch_size=8", f"loop={loop}"]
    long, short = ["data.limit=192", "epochs=1"], ["data.limit=40", "epochs=6"]
    single = ["data.limit=8", "epochs=25"]  # a step an epoch
    # With validation, a step of short epochs would take 0.15 s.
    for seconds, warnings, lengths in ((1e-3, 1, [long, short, single]), (1e-2, 0, [short])):
        torch.run(tmp_path, KEEP.format(typed=[*typed, "backend=torch"], seconds=seconds))
        for length in lengths:
            log = torch.train(tmp_path, *typed, *length, *ENDLESS)["log"]
            assert log.count("choose backend=tensorflow") == warnings, (length, log)
    torch.close()


@pytest.mark.trains
def test_what_can_not_run_is_told_with_its_own_hint(dlrun):
    (dlrun.cwd / "my_net.py").write_text(
        "from dlrun.errors import DlrunError\n\n"
        "def refuses(input_shape, num_classes, units=1):\n"
        "    raise DlrunError('no such width', hint='model.units=8')\n"
    )
    typed = ["model=mnist_mlp", "model._target_=my_net.refuses", "data.limit=64"]
    loops = ("--loops", "raw", "--loops", "fit")
    done = dlrun("bench", *typed, "backend=jax", *loops, "--budget", 120, "--trust", "my_net")
    assert done.returncode == 1
    assert "nothing was measured: jax raw: " in done.stderr
    assert "; jax fit: " in done.stderr
    assert done.stderr.endswith("hint: model.units=8\n")


def test_slow_members_leave_each_of_the_others_a_part_of_its_share():
    seconds, for_members, members = 70.0, 52.5, 3
    equal, began, limits = for_members / members, 0.0, []
    for left in (3, 2, 1):  # each takes all that it may
        share = (for_members - began) / left
        limits.append(limit_of(share, left, equal, seconds - began))
        began += limits[-1]
    assert min(limits) >= 0.7 * equal
    assert began <= seconds


def test_a_wrong_config_is_refused_before_anything_starts(dlrun):
    done = dlrun.here("bench", "model=mnist_mpl")
    assert done.returncode == 2
    assert "did you mean model=mnist_mlp?" in done.stderr
    assert dlrun.here("bench", "--loops", "fitt").returncode == 2
    for words, hint in (("backend=jax,torhc", "backend=torch"), ("loop=fit,rwa", "loop=raw")):
        done = dlrun.here("bench", words)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"did you mean {hint}?" in done.stderr
    assert dlrun.here("bench", "--budget", "0").returncode == 2
    done = dlrun.here("bench", "--memory-limit", "4")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: --memory-limit is an option of --batch",
    )
    assert dlrun.here("bench", "--batch", "--memory-limit", "0").returncode == 2
    done = dlrun.here("bench", "--batch", "distribution=data_parallel", "device.count=2")
    assert done.returncode == 2
    assert "batch sizes are tuned on one device" in done.stderr

"""dlrun tune learning_rate: the curve of each backend and loop against NumPy in float64."""

import csv
import functools
import json
import math

import numpy as np
import pytest

from conftest import in_turn
from dlrun.data.batches import permutation
from dlrun.proofs.range_test import Divergence, smooth, suggest
from trainings import BACKENDS, worker

LOW, HIGH, STEPS, SMOOTHING = 1e-5, 10.0, 60, 0.8
SAMPLES, BATCH, DECAY, MOMENTUM = 70, 16, 0.01, 0.5
MODEL = """
import keras

def linear(input_shape, num_classes):
    dense = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.1))
    return keras.Sequential([keras.Input(input_shape), dense])
"""
TYPED = (
    "model=linear_classifier", "model._target_=my_net.linear", "data=npz", "data.path=line.npz",
    "data.num_classes=1", "data.validation_samples=0", "task=regression", "task.monitor=loss",
    f"batch_size={BATCH}", "seed=3", "optimizer=sgd", f"optimizer.momentum={MOMENTUM}",
    f"optimizer.weight_decay={DECAY}", "schedule=cosine",
    "--min", LOW, "--max", HIGH, "--steps", STEPS, "--smoothing", SMOOTHING,
)  # fmt: skip


def line():
    """Inputs ``(70, 3)`` and labels ``(70,)``, float32."""
    random = np.random.default_rng(0)
    x = random.normal(size=(SAMPLES, 3)).astype("float32")
    return x, (x @ [2.0, -1.0, 0.5] + 3 + random.normal(size=SAMPLES)).astype("float32")


def expected():
    """The rates and losses until the loss diverges, in float64."""
    x, y = (array.astype("float64") for array in line())
    kernel, bias, speed = np.full(3, 0.1), 0.0, np.zeros(4)
    rates, losses, means = [], [], []
    order = np.concatenate([permutation(3, n, SAMPLES) for n in range(20)])
    at = 0
    for step in range(STEPS):
        # The last batch of an epoch is what is left of it.
        size = min(BATCH, SAMPLES - at % SAMPLES)
        batch = order[at : at + size]
        at += size
        rate = LOW * (HIGH / LOW) ** (step / (STEPS - 1))
        off = x[batch] @ kernel + bias - y[batch]
        rates.append(rate)
        losses.append(np.mean(off**2))
        weights = SMOOTHING ** np.arange(step, -1, -1.0)
        means.append(weights @ losses / weights.sum())
        if means[-1] > max(4 * min(means), losses[0]):
            break
        slope = np.append(2 * off @ x[batch], 2 * off.sum()) / size
        kernel, bias = kernel * (1 - rate * DECAY), bias * (1 - rate * DECAY)
        speed = MOMENTUM * speed - rate * slope
        kernel, bias = kernel + speed[:3], bias + speed[3]
    bound = max(losses[: math.ceil(len(losses) / 10)])
    apart = np.abs(np.subtract.outer(np.arange(len(losses)), np.arange(len(losses))))
    weights = SMOOTHING**apart
    return rates, losses, weights @ np.minimum(losses, bound) / weights.sum(axis=1)


@pytest.fixture(scope="module")
def tune(tmp_path_factory):
    """The result of a range test, cached."""
    place = tmp_path_factory.mktemp("tune")
    (place / "my_net.py").write_text(MODEL)
    x, y = line()
    np.savez(place / "line.npz", x_train=x, y_train=y, x_test=x, y_test=y)

    @functools.cache
    def tune(backend, loop):
        words = ["tune", "learning_rate", *TYPED, f"loop={loop}", f"backend={backend}", "--json"]
        code, out, err = worker(backend).command(place, list(map(str, words)))
        assert code == 0, err
        return place, json.loads(out), err

    return tune


@pytest.mark.trains
@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, ("fit", "raw", "train_step")))
def test_the_curve_is_that_of_numpy(tune, backend, loop):
    _, result, err = tune(backend, loop)
    rates, losses, means = expected()
    curve = result["curve"]
    assert result["stopped_by"] == "divergence"
    assert len(curve) == len(rates) == result["taken"] < STEPS
    assert [p["learning_rate"] for p in curve] == pytest.approx(rates, rel=1e-5)
    assert [p["loss"] for p in curve] == pytest.approx(losses, rel=1e-4)
    assert [p["smoothed"] for p in curve] == pytest.approx(list(means), rel=1e-4)
    lowest = int(np.argmin(means))
    places = range(math.ceil(len(rates) / 10), lowest + 1)
    logs = np.log(rates)
    slopes = {n: (means[n + 1] - means[n - 1]) / (logs[n + 1] - logs[n - 1]) for n in places}
    assert result["suggestion"] == pytest.approx(rates[min(slopes, key=slopes.get)], rel=0.05)
    assert result["use"] == [f"optimizer.learning_rate={result['suggestion']:g}"]
    assert "schedule=cosine is not used" in err


@pytest.mark.trains
def test_the_curve_is_kept_as_csv_json_and_picture(tune):
    place, result, _ = tune("jax", "fit")
    folder = place / result["directory"]
    assert folder.parent.name == "tune"
    with (folder / "learning_rate.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == result["curve"]
    assert f">{result['suggestion']:g}</text>" in (folder / "learning_rate.svg").read_text()


def test_a_loss_that_does_not_fall_suggests_nothing():
    losses = list(np.random.default_rng(1).normal(2.0, 0.1, 100))
    rates = list(np.geomspace(1e-7, 1, 100))
    assert suggest(rates, losses, smooth(losses, 0.9)).place is None
    falls = [2.0 - 1 / (1 + math.exp(40 - n)) for n in range(100)]
    assert suggest(rates, falls, smooth(falls, 0.5)).place == 40


def test_a_loss_diverges_when_its_mean_is_four_times_the_lowest_and_above_the_first():
    ends = Divergence(0.0)
    assert [ends.add(loss) for loss in (1.0, 0.1, 0.5, 0.99, 1.01)] == [False] * 4 + [True]
    assert Divergence(0.9).add(math.inf)
    negative = Divergence(0.0)  # as of a cosine
    assert [negative.add(loss) for loss in (-0.1, -1.0, 1.9, 2.1)] == [False] * 3 + [True]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["learning_rat"], "did you mean learning_rate?"),
        (["lr"], "did you mean learning_rate?"),
        (["learning_rate", "--min", "1", "--max", "0.1"], "--min 1 --max 0.1"),
        (["learning_rate", "--smoothing", "1"], "--smoothing 1"),
        (["learning_rate", "experiment=linear_classifier", "loop=linear_tape"], "loop=linear_tape"),
    ],
)
def test_what_can_not_be_tuned_is_refused_before_anything_starts(dlrun, words, named):
    done = dlrun.here("tune", *words)
    assert done.returncode == 2
    assert named in done.stderr
    assert not (dlrun.cwd / "runs").exists()

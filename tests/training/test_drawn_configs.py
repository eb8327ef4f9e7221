"""Configs drawn at random, with options that no other test combines."""

from random import Random

import numpy as np
import pytest

from tables import houses, write_csv
from trainings import BACKENDS, Refused, worker

pytestmark = [pytest.mark.slow, pytest.mark.trains]

LOOPS = ("fit", "train_step", "raw")
TABLE = ("data=csv", "data.path=houses.csv", "data.drop=[id]", "model=tabular")
SERIES = ("data=timeseries", "data.path=load.csv", "data.time=hour", "data.target=load")
WEIGHTED = ("data.weight=rooms", None)
BALANCED = (
    "task.class_weight=balanced",
    "task.sampling=oversample",
    "task.sampling=undersample",
    None,
)
# Each with the options that only it has; None leaves one out.
KINDS = [
    (("data.limit=200", "model=mnist_convnet"), [BALANCED]),
    (("data.limit=200", "model=mnist_subclassed"), [BALANCED]),
    (("data.limit=200", "model=small_convnet", "augmentation=standard"), []),
    (("data=tickets", "data.limit=200", "model=ticket_classifier"), []),
    (("data=tokens", "data.limit=200", "model=text_classifier"), []),
    ((*TABLE, "data.target=price"), [WEIGHTED]),
    ((*TABLE, "data.target=kind"), [WEIGHTED, BALANCED]),
    ((*TABLE, "data.target=garden"), [WEIGHTED, BALANCED]),
    ((*TABLE, "data.target=[price,kind]"), [("task.loss_weights={price: 0.3, kind: 2}", None)]),
    ((*SERIES, "model=forecaster"), []),
]
OPTIMIZERS = (
    *("adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion"),
    *("muon", "nadam", "rmsprop", "schedule_free_adamw", "sgd"),
)
SCHEDULES = ("cosine", "exponential", "one_cycle", "piecewise")
OFTEN = [
    [f"batch_size={size}" for size in (7, 16, 33, 64)],
    [f"epochs={epochs}" for epochs in (1.5, 2, 3)],
    [f"seed={seed}" for seed in range(5)],
    [f"optimizer={name}" for name in OPTIMIZERS],
]
SELDOM = [
    [f"schedule={name}" for name in SCHEDULES],
    ["+optimizer.use_ema=true"],
    [f"+optimizer.gradient_accumulation_steps={steps}" for steps in (2, 3)],
    [f"+optimizer.{clip}" for clip in ("global_clipnorm=0.5", "clipnorm=0.3", "clipvalue=0.01")],
    ["validate_every=5", "validate_every=0.5e", "validate_every=2e"],
    ["+callbacks=terminate_on_nan", "callbacks=[csv,checkpoint]"],
]
CRASH = """
import keras
from pathlib import Path

class Crash(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        at = Path("crash_at")
        if at.exists() and self.steps == int(at.read_text()):
            raise RuntimeError("my crash")
"""


@pytest.fixture
def place(tmp_path):
    """A directory with a table and a series."""
    write_csv(tmp_path / "houses.csv", houses(240))
    hours = np.arange("2026-01-01", "2026-01-15", dtype="datetime64[h]")
    load = np.sin(np.arange(len(hours)) / 5).round(4)
    write_csv(tmp_path / "load.csv", {"hour": hours.astype(str).tolist(), "load": load.tolist()})
    return tmp_path


def draw(random):
    """The overrides of a config."""
    given, own = random.choice(KINDS)
    words = [*given, *(random.choice(words) for words in (*OFTEN, *own))]
    words += [random.choice(words) for words in SELDOM if random.random() < 0.3]
    return [word for word in words if word is not None]


def numbers(run):
    """What does not depend on the clock: the rows of the epochs, and the test."""
    names = [name for name in run["rows"][0] if "second" not in name]
    return [[row[name] for name in names] for row in run["rows"]], list(run["test"].values())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(8))
def test_each_loop_has_the_same_numbers(place, backend, seed):
    words = draw(Random(seed))
    first, *others = (
        numbers(worker(backend).train(place, *words, f"loop={loop}")) for loop in LOOPS
    )
    for other in others:
        for mine, theirs in zip(first, other, strict=True):
            assert np.allclose(mine, theirs, rtol=2e-5, atol=1e-6, equal_nan=True), words


@pytest.mark.parametrize("seed", range(24))
def test_a_run_that_crashed_is_resumed_to_the_bit(place, seed):
    random = Random(1000 + seed)
    words = [*draw(random), f"loop={random.choice(LOOPS)}"]
    words.append(f"checkpoint.every={random.choice([1, 2, 3, 5])}")
    words.append("+callbacks.crash._target_=my_callbacks.Crash")
    process = worker(random.choice(BACKENDS))
    (place / "my_callbacks.py").write_text(CRASH)
    whole = process.train(place, *words)
    (place / "crash_at").write_text(str(random.randrange(1, whole["steps"])))
    with pytest.raises(Refused, match="my crash"):
        process.train(place, *words)
    (place / "crash_at").unlink()
    [crashed] = [path for path in place.glob("runs/*/*") if path != whole["path"]]
    resumed = process.resume(place, crashed)
    assert repr(numbers(resumed)) == repr(numbers(whole)), words  # also where both are nan


@pytest.mark.parametrize("seed", range(8))
def test_a_run_has_the_same_test_on_the_other_backends(place, seed):
    random = Random(2000 + seed)
    words = [*draw(random), f"loop={random.choice(LOOPS)}"]
    trained = worker(random.choice(BACKENDS)).train(place, *words)
    for backend in BACKENDS:
        found = worker(backend).evaluate(place, trained["path"])["metrics"]
        assert found == pytest.approx(trained["test"], rel=2e-5, abs=1e-6), words

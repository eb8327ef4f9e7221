"""profile=simple: where training's time goes."""

import json

import pytest

from conftest import slow
from trainings import worker

SMALL = ("model=mnist_mlp", "model.units=8", "data.limit=320", "batch_size=32", "epochs=2")
SLOW = """
import time
import keras

class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.2)
"""


@pytest.mark.trains
@pytest.mark.parametrize(("backend", "loop"), [("jax", "fit"), ("torch", "raw")])
def test_each_second_of_training_counts_in_one_phase(tmp_path, backend, loop):
    (tmp_path / "my_callbacks.py").write_text(SLOW)
    slow = "+callbacks.slow._target_=my_callbacks.Slow"
    run = worker(backend).train(tmp_path, *SMALL, f"loop={loop}", "profile=simple", slow)
    record = json.loads((run["path"] / "run.json").read_text())
    rows = {row["phase"]: row for row in record["profile"]}
    assert list(rows) == [
        "first step", "data", "step", "callbacks", "checkpoint", "validation", "evaluation",
    ]  # fmt: skip
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1, abs=1e-3)
    trained = sum(row["seconds"] for name, row in rows.items() if name != "evaluation")
    # Nothing is left out: a raw loop builds its function before the first hook.
    assert trained == pytest.approx(record["seconds"]["train"], abs=0.1)
    assert rows["callbacks"]["seconds"] > 0.4  # it sleeps twice
    first = 1 if loop == "fit" else 5  # steps of the first call
    assert (rows["step"]["count"], rows["validation"]["count"]) == (2 * 10 - first, 2)
    assert "phase         seconds  share" in run["log"]


STOPS = """
import os
import signal
import keras

class Stops(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 14 and not os.path.exists("stopped"):
            open("stopped", "w").close()
            os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.trains
def test_an_interrupted_run_and_its_resumption_have_one_of_their_own_steps_each(dlrun):
    (dlrun.cwd / "my_callbacks.py").write_text(STOPS)
    stops = "+callbacks.stops._target_=my_callbacks.Stops"
    done = dlrun.within("torch", "train", *SMALL, "loop=train_step", "profile=simple", stops)
    assert done.returncode == 130
    run = dlrun.only_run()
    rows = {row["phase"]: row for row in dlrun.record(run)["profile"]}
    assert "evaluation" not in rows
    assert rows["step"]["count"] == 14 - 1
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1, abs=1e-3)
    resumed = dlrun.within("torch", "resume", run, "--trust", "my_callbacks")
    assert "of what ran after epoch 1, where the run was resumed" in resumed.stderr
    rows = {row["phase"]: row for row in dlrun.record(run)["profile"]}
    assert rows["step"]["count"] == 10 - 1


FEEDS = """
from copy import copy
from time import sleep

from dlrun.feeds.pydataset import BatchSequence

def dark(batches):
    other = copy(batches)  # as feed=numpy does
    other.split = batches.split.map(lambda array: array * 0)
    return BatchSequence(batches, other.prepare)

def slow(batches):
    from dlrun.feeds.tf_data import tf_data

    return tf_data(_Slow(batches))

class _Slow:
    def __init__(self, batches):
        self._batches = batches

    def __getattr__(self, name):
        return getattr(self._batches, name)

    def __len__(self):
        return len(self._batches)

    @property
    def order(self):
        sleep(0.3)  # in a thread of tf.data, once an epoch
        return self._batches.order
"""


@pytest.mark.trains
@pytest.mark.parametrize("loop", ["fit", slow("train_step")])
def test_what_steps_wait_for_the_threads_of_tf_data_counts_as_data(tmp_path, loop):
    (tmp_path / "my_feeds.py").write_text(FEEDS)
    words = (f"loop={loop}", "feed._target_=my_feeds.slow", "profile=simple")
    run = worker("tensorflow").train(tmp_path, *SMALL, *words)
    record = json.loads((run["path"] / "run.json").read_text())
    rows = {row["phase"]: row for row in record["profile"]}
    assert rows["data"]["seconds"] > 0.6  # it sleeps twice
    assert (rows["data"]["count"], rows["data"]["seconds_beside"]) == (2 * 10, 0)
    trained = sum(row["seconds"] for name, row in rows.items() if name != "evaluation")
    assert trained == pytest.approx(record["seconds"]["train"], abs=0.1)


@pytest.mark.trains
@pytest.mark.parametrize("backend", ["jax", slow("tensorflow")])
def test_a_last_call_of_fewer_steps_counts_these(tmp_path, backend):
    words = ("loop=fit", "loop.steps_per_execution=4", "profile=simple")
    log = ("+callbacks.log._target_=dlrun.callbacks.batch_log.BatchLog", "+callbacks.log.every=1")
    run = worker(backend).train(tmp_path, *SMALL, *words, *log)
    record = json.loads((run["path"] / "run.json").read_text())
    assert {row["phase"]: row["count"] for row in record["profile"]}["step"] == 2 * 10 - 4
    assert "batch  10/10" in run["log"]
    assert "12/10" not in run["log"]


@pytest.mark.trains
def test_the_profile_of_a_feed_that_copies_the_samples_trains_on_these(tmp_path):
    (tmp_path / "my_feeds.py").write_text(FEEDS)
    words = ("feed._target_=my_feeds.dark", "profile=simple")
    run = worker("torch").train(tmp_path, *SMALL, *words)
    assert [row["accuracy"] for row in run["rows"]] == [pytest.approx(1, abs=0.2), 1]


@pytest.mark.trains
def test_a_run_without_it_has_no_profile(tmp_path):
    run = worker("torch").train(tmp_path, *SMALL, "epochs=1")
    assert "profile" not in json.loads((run["path"] / "run.json").read_text())

"""Runs that end after a number of steps, or within an epoch, and go on as if they had not."""

import numpy as np
import pytest

from conftest import in_turn
from dlrun.assembly.length import with_more
from dlrun.checkpoints.format import PARTS, read_checkpoint
from dlrun.checkpoints.store import Position, checkpoint_path, list_positions
from dlrun.data.batches import Batches, permutation
from dlrun.data.dataset import Dataset, Split
from dlrun.data.length import length_of
from dlrun.errors import DlrunError
from dlrun.runs.history import along
from dlrun.system.interval import Every, parse_every
from trainings import BACKENDS, Refused, worker

# 400 training samples, 9 steps a pass, the last one of 16 samples.
SMALL = ("data.limit=400", "batch_size=48", "model=mnist_mlp_dropout", "model.units=16")
SMALL += ("~callbacks.early_stopping",)
LOOPS = ("raw", "fit", "train_step")


def arrays(run, at):
    saved = read_checkpoint(checkpoint_path(run / "checkpoints", at))
    return [(part, v.value.tobytes()) for part in PARTS for v in getattr(saved, part)]


def without_seconds(rows):
    return [{**row, "seconds": 0} for row in rows]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # epochs, max_steps, validate_every: epochs, steps, and those of the last epoch
        ((3, None, None), (3, 27, 9)),
        ((2.5, None, None), (3, 23, 5)),
        ((None, 20, None), (3, 20, 2)),
        ((2, 20, None), (2, 18, 9)),
        ((9, 20, None), (3, 20, 2)),
        ((3, None, Every(2, "epochs")), (2, 26, 9)),  # 800 and 400 samples
        ((3, None, Every(5, "steps")), (5, 25, 5)),  # 1,200 samples are 25 whole batches
        ((0.1, None, Every(50, "steps")), (1, 1, 1)),
    ],
)
def test_the_length_of_a_run(given, expected):
    epochs, max_steps, every = given
    length = length_of(400, 48, epochs=epochs, max_steps=max_steps, validate_every=every)
    assert (length.epochs, length.steps, length.steps_of(length.epochs - 1)) == expected
    assert sum(length.samples_of(epoch) for epoch in range(length.epochs)) == length.total


def test_parts_of_a_run_take_the_samples_of_whole_passes():
    split = Split(np.zeros((10, 1), np.float32), np.arange(10))
    length = length_of(10, 4, epochs=2.5, max_steps=None, validate_every=Every(2, "steps"))
    data = Dataset(split, split[:0], split, 10, length=length)
    batches, seen = Batches(data, data.train, 4, seed=3), []
    for epoch in range(length.epochs):
        batches.start_epoch(epoch)
        assert len(batches) == batches.steps_of(epoch)
        seen += [label for number in range(len(batches)) for label in batches[number][1].tolist()]
    assert seen == np.concatenate([permutation(3, number, 10) for number in range(3)])[:25].tolist()


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        (500, 500, "steps"),
        ("500", 500, "steps"),
        ("0.5e", 0.5, "epochs"),
        ("1h30min", 5400, "seconds"),
    ],
)
def test_intervals(text, amount, unit):
    assert parse_every(text) == Every(amount, unit)


@pytest.mark.parametrize("text", [0, -1, True, 2.5, "e", "0e", "5 apples", None])
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_every(text)


@pytest.mark.trains
@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, LOOPS))
def test_a_run_ends_after_its_steps_and_goes_on_to_the_bit(tmp_path, backend, loop):
    words = (*SMALL, f"loop={loop}", "validate_every=8")
    if (backend, loop) == ("tensorflow", "raw"):
        words = (*words, "loop.compile=graph")
    straight = worker(backend).train(tmp_path, *words, "max_steps=22")
    assert (straight["steps"], straight["epochs"], straight["stopped_by"]) == (22, 3, "max_steps")
    assert [row["step"] for row in straight["rows"]] == [8, 16, 22]
    assert [row["samples"] for row in straight["rows"]] == [384, 768, 1056]
    # It ends after the first step of the second validation's, alone in its call on jax.
    short = worker(backend).train(tmp_path, *words, "max_steps=9")
    assert [row["step"] for row in short["rows"]] == [8, 9]
    assert Position(1, 1) in list_positions(short["path"] / "checkpoints")
    assert worker(backend).resume(tmp_path, short["path"])["steps"] == 9  # it is done
    resumed = worker(backend).resume(tmp_path, short["path"], "max_steps=22")
    assert without_seconds(resumed["rows"]) == without_seconds(straight["rows"])
    for at in (Position(2), Position(2, 6), Position(3)):
        assert arrays(resumed["path"], at) == arrays(straight["path"], at)


@pytest.mark.trains
def test_a_run_that_ended_within_a_batch_goes_on_with_the_whole_one(tmp_path):
    words = (*SMALL, "loop=raw")
    straight = worker("torch").train(tmp_path, *words, "epochs=2.5")
    # 0.3 epochs end with 24 samples of a step of 48, before any epoch is saved; 1.3 after one is.
    run = worker("torch").train(tmp_path, *words, "epochs=0.3")
    assert run["rows"][-1]["samples"] == 120
    for epochs in (1.3, 2.5):
        run = worker("torch").resume(tmp_path, run["path"], f"epochs={epochs}")
    assert without_seconds(run["rows"]) == without_seconds(straight["rows"])
    assert arrays(run["path"], Position(3)) == arrays(straight["path"], Position(3))


@pytest.mark.trains
def test_checkpoints_come_each_so_many_epochs_whatever_ends_with_a_validation(tmp_path):
    words = (*SMALL, "loop=fit", "callbacks.checkpoint.keep=9")
    run = worker("torch").train(
        tmp_path, *words, "epochs=3", "validate_every=0.5e", "callbacks.checkpoint.every=1e"
    )
    saved = list_positions(run["path"] / "checkpoints")
    assert {Position(2), Position(4), Position(6)} <= set(saved)
    assert {at.epochs for at in saved if not at.steps} <= {2, 4, 6, run["best_epoch"]}
    # Within an epoch, by the clock.
    run = worker("torch").train(tmp_path, *words, "epochs=1.5", "callbacks.checkpoint.every=0.001s")
    assert run["rows"][-1]["step"] == 14
    with pytest.raises(Refused, match="give every or every_steps, not both"):
        both = ("callbacks.checkpoint.every=5", "callbacks.checkpoint.every_steps=5")
        worker("torch").train(tmp_path, *words, *both)


def test_a_length_may_be_added_to():
    recorded = {"epochs": 2, "max_steps": None}
    assert with_more(["epochs=+3", "backend=jax"], recorded) == ["epochs=5", "backend=jax"]
    assert with_more(["epochs=+0.5"], recorded) == ["epochs=2.5"]
    with pytest.raises(DlrunError, match=r"max_steps=\+9: the run's length is epochs=2"):
        with_more(["max_steps=+9"], recorded)
    with pytest.raises(DlrunError, match="dlrun launch may start it again"):
        with_more(["epochs=+1"], recorded, restarts=True)


@pytest.mark.parametrize(
    ("limit", "more", "total"),
    [
        ("8h", "2h", "10h"),
        ("30min", "90s", "31min30s"),
        ("2s", "0.5s", "2.5s"),
        (8, "2s", "10s"),
        (8, "90", "1min38s"),
        ("8s", "0.5", "8.5s"),
    ],
)
def test_a_limit_of_time_may_be_added_to(limit, more, total):
    recorded = {"callbacks": {"max_time": {"limit": limit}}}
    assert with_more([f"max_time=+{more}"], recorded) == [f"max_time={total}"]
    with pytest.raises(DlrunError, match="expected a duration, such as 8h"):
        with_more(["max_time=+soon"], recorded)
    with pytest.raises(DlrunError, match="the run has no max_time"):
        with_more(["max_time=+2h"], {"callbacks": {}})
    with pytest.raises(DlrunError, match="dlrun launch may start it again") as refused:
        with_more(["max_time=+2h"], recorded, restarts=True)
    assert refused.value.hint == "max_time=2h, of the whole run"


def test_places_of_rows_and_of_those_of_older_runs():
    rows = [{"epoch": 1, "step": 4, "seconds": 0.5}, {"epoch": 2, "step": "8", "seconds": "1.25"}]
    assert along(rows, "step") == [4, 8]
    assert along(rows, "seconds") == [0.5, 1.75]
    assert along(rows, "samples") == [None, None]


@pytest.mark.trains
def test_how_often_it_validates_changes_neither_length_nor_schedule(tmp_path):
    words = ("model=mnist_mlp", "model.units=16", "data.limit=400", "batch_size=50")
    words += ("schedule=cosine", "loop=raw")
    usual = worker("torch").train(tmp_path, *words, "epochs=2", "~callbacks.early_stopping")
    cut = worker("torch").train(
        tmp_path, *words, "epochs=2", "validate_every=0.5e", "~callbacks.early_stopping"
    )
    # No random numbers in the steps, and the same batches.
    assert [row["step"] for row in cut["rows"]] == [4, 8, 12, 16]
    assert cut["rows"][3]["val_loss"] == usual["rows"][1]["val_loss"]
    assert cut["rows"][3]["learning_rate"] == usual["rows"][1]["learning_rate"]
    half = worker("torch").train(tmp_path, *words, "epochs=1.5", "~callbacks.early_stopping")
    assert (half["steps"], half["epochs"], half["stopped_by"]) == (12, 2, "epochs")

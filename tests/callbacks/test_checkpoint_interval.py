"""After which steps and epochs a checkpoint is due."""

import time
from dataclasses import asdict

import pytest

from dlrun.config.compose import compose, recompose
from dlrun.config.groups import RESUMABLE
from dlrun.config.sweeps.expand import expand
from dlrun.data.length import length_of
from dlrun.errors import DlrunError


def interval(every=None, every_steps=None, every_seconds=None, *, samples=100, batch_size=10):
    from dlrun.callbacks.checkpoint_interval import CheckpointInterval

    made = CheckpointInterval(every, every_steps, every_seconds)
    made.set_length(length_of(samples, batch_size, epochs=30, max_steps=None))
    made.begin()
    made.restart()
    return made


def due(made, epochs):
    return [epoch for epoch in range(1, epochs + 1) if made.is_due_after(epoch)]


@pytest.mark.parametrize(
    ("settings", "epochs", "steps"),
    [
        ({}, list(range(1, 21)), []),  # what follows waits for the clock
        ({"every_seconds": 0}, list(range(1, 26)), []),
        ({"every_seconds": 3600}, [], []),
        ({"every": "10min"}, [], []),
        ({"every": "10e"}, [10, 20], []),
        ({"every": "2.5e"}, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25], []),
        ({"every": "0.3e"}, list(range(1, 26)), [3, 6, 9]),
        ({"every": 4}, list(range(1, 21)), [4, 8]),
        ({"every_steps": 4, "every_seconds": 3600}, [], [4, 8]),
    ],
)
def test_a_checkpoint_is_due_by_epochs_steps_or_the_clock(settings, epochs, steps):
    made = interval(**settings)
    assert due(made, 25) == epochs
    assert [done for done in range(1, 11) if made.is_due_within(done - 1, done)] == steps
    assert made.divides_epochs == bool(steps or settings.get("every") == "10min")


def test_a_call_of_several_steps_is_asked_once_for_all_of_them():
    made = interval(every=4)
    assert [made.is_due_within(first, first + 3) for first in (0, 3, 6)] == [False, True, True]


def test_a_time_is_due_within_an_epoch_too():
    made = interval(every="0.01s")
    time.sleep(0.02)
    assert made.is_due_within(0, 1)
    assert not interval(every="1h").is_due_within(0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["checkpoint.every_seconds=-1"], "every_seconds=-1: must be a number of seconds"),
        (["checkpoint.every_steps=0"], "every_steps=0: must be an integer of at least 1, got 0"),
        (["+checkpoint.keep=0"], "keep=0: must be an integer of at least 1, got 0"),
        (["checkpoint.every=5", "checkpoint.every_seconds=1"], "every or every_seconds, not both"),
        (["checkpoint.every=5", "checkpoint.every_steps=5"], "give every or every_steps, not both"),
        (["checkpoint.every=often"], "callbacks.checkpoint.every=often: expected steps"),
        (["max_time=soon"], "callbacks.max_time.limit=soon: expected a duration"),
    ],
)
def test_what_is_no_interval_is_refused_before_a_framework_starts(words, said):
    with pytest.raises(DlrunError) as refused:
        compose(words)
    assert said in refused.value.message


def test_a_checkpoint_is_set_in_short():
    for typed, value in (("5", 5), ("2e", "2e"), ("10min", "10min")):
        short = compose([f"checkpoint.every={typed}"])
        assert short == compose([f"callbacks.checkpoint.every={typed}"])
        assert short.callbacks["checkpoint"]["every"] == value
    recorded = asdict(compose(["checkpoint.every=5"]))
    longer = recompose(recorded, ["checkpoint.every=10min"], changeable=RESUMABLE)
    assert longer.callbacks["checkpoint"]["every"] == "10min"
    assert compose(["validate_every=5"], earlier=["validate_every=2e"]).validate_every == 5
    assert compose(["validate_every=2e"], earlier=["validate_every=5"]).validate_every == "2e"
    keys, runs = expand(["checkpoint.every=5,2e", "epochs=1"])
    assert (keys, runs[1]) == (["checkpoint.every"], ["checkpoint.every=2e", "epochs=1"])

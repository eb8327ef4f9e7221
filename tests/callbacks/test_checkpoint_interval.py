"""After which steps and epochs a checkpoint is due."""

import time

import pytest

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
    ("settings", "said"),
    [
        ({"every_seconds": -1}, "every_seconds=-1: expected at least 0"),
        ({"every": 5, "every_seconds": 1}, "give every or every_seconds, not both"),
        ({"every": 5, "every_steps": 5}, "give every or every_steps, not both"),
        ({"every": "often"}, "callbacks.checkpoint.every: expected steps, such as 500"),
    ],
)
def test_what_is_no_interval_is_refused(settings, said):
    with pytest.raises(DlrunError, match=said):
        interval(**settings)

"""A run that ends before its time is over, and goes on when it gets more."""

import pytest

from dlrun.system.duration import as_duration, parse_seconds
from trainings import Refused, worker

WORDS = ("~callbacks.early_stopping", "model.units=16", "data.limit=400", "epochs=3")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8h", 28_800), ("1h30min", 5_400), ("90s", 90), ("1d 2h", 93_600), (45, 45), ("0.5min", 30)],
)
def test_durations(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["8", "h", "8h8", "-1h", 0, True, "1e3s", "0s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="expected a"):
        parse_seconds(text)


@pytest.mark.trains
@pytest.mark.parametrize(("backend", "loop"), [("torch", "fit"), ("jax", "raw")])
def test_a_run_ends_in_time_and_goes_on_to_the_bit(tmp_path, backend, loop):
    whole = worker(backend).train(tmp_path, *WORDS, f"loop={loop}")
    assert (whole["epochs"], whole["stopped_by"]) == (3, "epochs")
    short = worker(backend).train(tmp_path, *WORDS, f"loop={loop}", "max_time=0.001s")
    assert (short["epochs"], short["stopped_by"]) == (1, "max_time")
    again = worker(backend).resume(tmp_path, short["path"])  # it is done
    assert again["epochs"] == 1
    assert "max_time=+0.001s" in short["log"]
    resumed = worker(backend).resume(tmp_path, short["path"], "max_time=+1h")
    assert (resumed["epochs"], resumed["stopped_by"]) == (3, "epochs")
    for row, expected in zip(resumed["rows"], whole["rows"], strict=True):
        assert {**row, "seconds": 0} == {**expected, "seconds": 0}


@pytest.mark.trains
def test_the_time_of_all_resumptions_counts(tmp_path):
    first = worker("jax").train(tmp_path, *WORDS, "epochs=1", "max_time=1h")
    with pytest.raises(Refused, match="expected a duration"):
        worker("jax").resume(tmp_path, first["path"], "epochs=9", "callbacks.max_time.limit=soon")
    # One more epoch would fit, were it not for the first.
    [row] = first["rows"]
    limit = row["seconds"] * 1.01
    words = ("epochs=9", f"callbacks.max_time.limit={limit}")
    resumed = worker("jax").resume(tmp_path, first["path"], *words)
    assert (resumed["epochs"], resumed["stopped_by"]) == (2, "max_time")
    assert f"max_time {as_duration(limit)}: another epoch may not fit" in resumed["log"]

"""Which epoch is kept as the best."""

import math

import pytest

from trainings import worker

SCRIPT = """
import logging
from dlrun.callbacks.checkpoint import Checkpoint

one = Checkpoint("unused", "val_loss", {mode!r})
one._save = lambda at, within: None
handler = logging.Handler()
handler.emit = lambda record: found.update(told=record.getMessage())
logging.getLogger("dlrun").addHandler(handler)
for epoch, value in enumerate({values!r}):
    one.on_epoch_end(epoch, {{"val_loss": float(value)}})
one.on_train_end()
logging.getLogger("dlrun").removeHandler(handler)
found["best"] = one.best["epoch"]
"""


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("min", (0.5, 0.3, 0.4), 2),
        ("min", (math.nan, 0.5, 0.6), 2),
        ("min", (math.inf, 0.5, math.nan), 2),
        ("min", (0.5, -math.inf), 1),
        ("max", (0.5, math.inf, 0.6), 3),
        ("max", (math.inf, 0.5), 2),
    ],
)
def test_what_is_no_finite_number_is_never_better_than_one(tmp_path, mode, values, best):
    script = SCRIPT.format(mode=mode, values=[str(value) for value in values])
    assert worker("torch").run(tmp_path, script) == {"best": best}


def test_that_none_was_a_number_is_told_of_the_epoch_that_is_kept(tmp_path):
    script = SCRIPT.format(mode="min", values=["nan", "inf", "nan"])
    found = worker("torch").run(tmp_path, script)
    assert found["best"] == 1
    assert found["told"].startswith("val_loss was a finite number in no epoch: none is the best")

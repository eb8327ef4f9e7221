"""The choice of the best epoch."""

import math

import pytest

from trainings import worker

SCRIPT = """
import logging
from dlrun.callbacks.checkpoint import Checkpoint

checkpoint = Checkpoint("unused", "val_loss", {mode!r})
checkpoint._save = lambda at, within: None
handler = logging.Handler()
handler.emit = lambda record: found.update(message=record.getMessage())
logging.getLogger("dlrun").addHandler(handler)
for epoch, value in enumerate({values!r}):
    checkpoint.on_epoch_end(epoch, {{"val_loss": float(value)}})
checkpoint.on_train_end()
logging.getLogger("dlrun").removeHandler(handler)
found["best"] = checkpoint.best["epoch"]
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
def test_a_non_finite_value_is_never_the_best(tmp_path, mode, values, best):
    script = SCRIPT.format(mode=mode, values=[str(value) for value in values])
    assert worker("torch").run(tmp_path, script) == {"best": best}


def test_a_metric_that_is_never_finite_logs_a_warning(tmp_path):
    script = SCRIPT.format(mode="min", values=["nan", "inf", "nan"])
    result = worker("torch").run(tmp_path, script)
    assert result["best"] == 1
    assert result["message"].startswith("val_loss was not finite in any epoch")

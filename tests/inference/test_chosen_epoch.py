"""Which epoch ``best``, ``last`` and a number name."""

import json
from pathlib import Path

import pytest

from dlrun.errors import DlrunError
from dlrun.inference.chosen_epoch import resolve_epoch
from dlrun.runs.directory import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that has kept epochs 4, 6 and 7, of which 4 is the best."""
    for epoch in (4, 6, 7):
        checkpoint = tmp_path / f"checkpoints/epoch-{epoch:04d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.json").write_text(json.dumps({"best": {"epoch": 4, "value": 0.1}}))
    return RunDir(tmp_path, {"status": "completed"})


@pytest.mark.parametrize(("which", "epoch"), [("best", 4), ("last", 7), ("6", 6)])
def test_a_checkpoint_is_named_by_a_word_or_a_number(run: RunDir, which: str, epoch: int) -> None:
    assert resolve_epoch(run, which) == epoch


@pytest.mark.parametrize(
    ("which", "hint"), [("bst", "did you mean best?"), ("epoch-0006", ""), ("-1", ""), ("", "")]
)
def test_another_word_is_refused_and_never_the_last(run: RunDir, which: str, hint: str) -> None:
    with pytest.raises(DlrunError, match="expected best, last or the number of an epoch") as error:
        resolve_epoch(run, which)
    assert hint in (error.value.hint or "")


def test_an_epoch_that_was_not_kept_is_refused_with_those_that_were(run: RunDir) -> None:
    with pytest.raises(DlrunError, match="no checkpoint of epoch 5") as error:
        resolve_epoch(run, "5")
    assert error.value.hint == "it has epochs 4, 6, 7: --checkpoint 7"

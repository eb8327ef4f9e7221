"""The history of a run grows by a line an epoch, and each checkpoint finds its own part again."""

from pathlib import Path

import pytest

from dlrun.checkpoints.format import read_checkpoint, write_checkpoint
from dlrun.checkpoints.history import HISTORY, HistoryFile, lines_of, read_lines
from dlrun.checkpoints.store import Position
from dlrun.errors import DlrunError


def line(epoch: int, loss: float = 0.5) -> dict:
    row = {"epoch": epoch, "loss": loss}
    return {"history": row, "callbacks": {"csv": {**row, "seconds": 0.1}}}


def grown(path: Path, *lines: dict) -> list[dict]:
    """The mark after each line."""
    file, marks = HistoryFile(path), []
    for one in lines:
        file.add(one)
        marks.append(file.mark())
    file.flush()
    return marks


def test_each_mark_gives_its_own_lines(tmp_path: Path) -> None:
    path, lines = tmp_path / HISTORY, [line(1), line(2, float("inf")), line(3)]
    marks = grown(path, *lines)
    for number, mark in enumerate(marks, 1):
        assert read_lines(path, mark) == lines[:number]


def test_before_the_first_epoch_has_ended_there_is_no_file(tmp_path: Path) -> None:
    """A checkpoint within the first epoch has no line."""
    path = tmp_path / HISTORY
    file = HistoryFile(path)
    file.flush()
    assert not path.exists()
    assert read_lines(path, file.mark()) == []
    with pytest.raises(ValueError, match="does not match its hash"):
        read_lines(path, {**file.mark(), "sha256": "0" * 64})


def test_a_resumed_run_drops_what_came_after_and_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / HISTORY
    first, second, _ = grown(path, line(1), line(2), line(3))
    with path.open("ab") as file:
        file.write(b'{"history": {"epo')  # a process was killed as it wrote
    resumed = HistoryFile(path, read_lines(path, second))
    resumed.add(line(3, 0.25))
    resumed.flush()
    assert read_lines(path, first) == [line(1)]
    assert read_lines(path, resumed.mark()) == [line(1), line(2), line(3, 0.25)]
    assert path.stat().st_size == resumed.mark()["bytes"]


def test_the_state_of_the_first_format_becomes_lines(tmp_path: Path) -> None:
    """There, the state held the whole history, and a callback that was added later fewer rows."""
    history = [line(n)["history"] for n in (1, 2, 3)]
    rows = [line(n)["callbacks"]["csv"] for n in (2, 3)]
    state = {
        "history": history,
        "callbacks": {"csv": {"rows": rows}, "early_stopping": {"wait": 1}},
    }
    path = tmp_path / HISTORY
    [*_, mark] = grown(path, *lines_of(state))
    back = read_lines(path, mark)
    assert [one["history"] for one in back] == history
    assert [one["callbacks"] for one in back] == [{}, {"csv": rows[0]}, {"csv": rows[1]}]


@pytest.mark.parametrize("harm", ["changed", "cut", "gone"])
def test_damage_is_reported_and_weights_can_still_be_read(tmp_path: Path, harm: str) -> None:
    [mark] = grown(tmp_path / HISTORY, line(1))
    state = {"callbacks": {}}
    path = write_checkpoint(tmp_path, Position(1), {}, state, written_by={}, history=mark)
    assert read_checkpoint(path).state["history"] == [{"epoch": 1, "loss": 0.5}]
    data = (tmp_path / HISTORY).read_bytes()
    if harm == "gone":
        (tmp_path / HISTORY).unlink()
    else:
        harmed = data.replace(b"0.5", b"0.4") if harm == "changed" else data[:-2]
        (tmp_path / HISTORY).write_bytes(harmed)
    with pytest.raises(DlrunError, match=HISTORY):
        read_checkpoint(path)
    assert read_checkpoint(path, history=False).state == state

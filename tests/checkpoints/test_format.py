"""Checkpoints are written atomically, and damage is detected when they are read."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from dlrun.checkpoints.format import Variable, read_checkpoint, write_checkpoint
from dlrun.checkpoints.store import (
    ARRAYS,
    MANIFEST,
    STATE,
    Position,
    checkpoint_path,
    list_epochs,
    prune_checkpoints,
    read_best_epoch,
)
from dlrun.errors import DlrunError

STATE_1 = {"epoch": 1, "best": {"epoch": 1, "value": 0.5}, "history": {"loss": [0.5]}}
KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


def written(directory: Path, epoch: int = 1, best: int = 1) -> Path:
    return write_checkpoint(
        directory,
        Position(epoch),
        {
            "model": [Variable("net/kernel", KERNEL + epoch), Variable("net/bias", np.zeros(3))],
            "optimizer": [Variable("adam/iteration", np.asarray(7 * epoch))],
        },
        STATE_1 | {"epoch": epoch, "best": {"epoch": best}},
        written_by={"cores": 2},
    )


def refused(path: Path) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        read_checkpoint(path)
    assert str(path) in caught.value.message
    assert len(caught.value.message.splitlines()) == 1
    return caught.value


# Written and read


@pytest.mark.parametrize(
    "value",
    [
        KERNEL,
        KERNEL.astype(np.float16),
        KERNEL.astype(np.float64),
        KERNEL.astype(ml_dtypes.bfloat16),
        KERNEL.astype(ml_dtypes.float8_e4m3fn),
        np.asarray(3, np.int64),
        np.asarray(2.5, ml_dtypes.bfloat16),
        np.asarray([2**32 - 1, 0], np.uint32),
        np.asarray([True, False]),
        np.zeros((0, 3), np.float32),
        np.asarray([np.nan, np.inf, -0.0], np.float32),
        KERNEL.T,
    ],
    ids=lambda value: f"{value.dtype}{value.shape}",
)
def test_an_array_comes_back_bit_for_bit(tmp_path: Path, value: np.ndarray) -> None:
    path = write_checkpoint(
        tmp_path, Position(1), {"model": [Variable("v", value)]}, {}, written_by={}
    )
    [variable] = read_checkpoint(path).model
    assert (variable.path, variable.value.dtype) == ("v", value.dtype)
    assert variable.value.shape == value.shape
    assert variable.value.tobytes() == value.tobytes()


def test_parts_order_paths_and_state_come_back(tmp_path: Path) -> None:
    values = [Variable(f"layer/{number}", np.float32(number)) for number in range(12)]
    state = {"epoch": 3, "text": "größer", "nested": {"list": [1, 2.5, None, True]}}
    parts = {"model": values, "optimizer": values[:2]}
    path = write_checkpoint(tmp_path / "new", Position(3), parts, state, written_by={})
    back = read_checkpoint(path)
    assert [(v.path, float(v.value)) for v in back.model] == [
        (f"layer/{number}", number) for number in range(12)
    ]
    assert [v.path for v in back.optimizer] == ["layer/0", "layer/1"]
    assert back.state == state


def test_the_manifest_records_the_writer_and_the_arrays(tmp_path: Path) -> None:
    manifest = json.loads((written(tmp_path) / MANIFEST).read_text())
    assert (manifest["format"], manifest["epochs"]) == (1, 1)
    assert manifest["written_by"] == {"cores": 2}
    assert manifest["arrays"][0] | {"key": ""} == {
        "key": "",
        "path": "net/kernel",
        "shape": [2, 3],
        "dtype": "float32",
    }


def test_an_epoch_written_again_replaces_the_first(tmp_path: Path) -> None:
    written(tmp_path, 1)
    path = write_checkpoint(
        tmp_path,
        Position(1),
        {"model": [Variable("v", np.ones(2))]},
        {"second": True},
        written_by={},
    )
    assert read_checkpoint(path).state == {"second": True}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# Damaged


@pytest.mark.parametrize("name", [ARRAYS, STATE])
@pytest.mark.parametrize("place", [0, 60, -1])
def test_one_changed_byte_is_detected(tmp_path: Path, name: str, place: int) -> None:
    path = written(tmp_path)
    content = bytearray((path / name).read_bytes())
    content[place] ^= 1
    (path / name).write_bytes(content)
    assert f"is damaged: {name}" in refused(path).message


def test_a_changed_byte_of_the_manifest_changes_no_value(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = (path / MANIFEST).read_bytes()

    def content() -> object:
        saved = read_checkpoint(path)
        parts = (saved.model, saved.optimizer)
        return [[(v.value.dtype, v.value.tolist()) for v in part] for part in parts], saved.state

    expected = content()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (path / MANIFEST).write_bytes(damaged)
        try:
            assert content() == expected, damaged[max(place - 20, 0) : place + 20]
        except DlrunError as error:
            assert str(path) in error.message


@pytest.mark.parametrize("name", [ARRAYS, STATE, MANIFEST])
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    path = written(tmp_path)
    (path / name).unlink()
    assert name in refused(path).message


@pytest.mark.parametrize("name", [ARRAYS, STATE, MANIFEST])
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = written(tmp_path)
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: int(len(content) * share)])
    refused(path)


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"format": 1}', "\x00"])
def test_an_invalid_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path)
    (path / MANIFEST).write_text(text)
    refused(path)


def test_another_format_is_not_reported_as_damage(tmp_path: Path) -> None:
    path = written(tmp_path)
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(manifest | {"format": 3}))
    error = refused(path)
    assert "has format 3; this dlrun reads 1 and 2" in error.message
    assert "version of dlrun" in str(error.hint)


def test_a_missing_checkpoint_is_reported(tmp_path: Path) -> None:
    written(tmp_path, 3)
    error = refused(checkpoint_path(tmp_path, Position(4)))
    assert error.hint == "use another checkpoint: --checkpoint 3"


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    value = np.asarray([Payload()], dtype=object)
    path = write_checkpoint(
        tmp_path, Position(1), {"model": [Variable("v", value)]}, {}, written_by={}
    )
    assert "only pickle could read" in refused(path).message
    assert not (tmp_path / "ran").exists()


def test_a_damaged_checkpoint_names_the_others(tmp_path: Path) -> None:
    for epoch in (2, 3, 4):
        path = written(tmp_path, epoch)
    (path / STATE).write_text("{}")
    assert refused(path).hint == "use another checkpoint: --checkpoint 2 or 3"
    prune_checkpoints(tmp_path, [Position(4)])
    assert refused(path).hint == "the run has no other checkpoint; train it again"


# Writes that fail


def test_a_full_disk_does_not_change_earlier_checkpoints(tmp_path: Path) -> None:
    first = written(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(
                tmp_path,
                Position(2),
                {"model": [Variable("v", np.ones(50_000))]},
                {},
                written_by={},
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [entry.name for entry in tmp_path.iterdir()] == [first.name]
    assert read_checkpoint(first).state["epoch"] == 1


def test_a_state_that_is_not_json_leaves_no_files(tmp_path: Path) -> None:
    written(tmp_path, 1)
    for epoch in (1, 2):
        with pytest.raises(TypeError):
            write_checkpoint(tmp_path, Position(epoch), {}, {"bad": object()}, written_by={})
    assert [entry.name for entry in tmp_path.iterdir()] == ["epoch-0001"]
    assert len(read_checkpoint(tmp_path / "epoch-0001").model) == 2


# Kept, pruned, best


def test_the_saved_epochs_are_listed_in_order(tmp_path: Path) -> None:
    assert list_epochs(tmp_path / "nosuch") == []
    for epoch in (10, 9, 12_345):
        written(tmp_path, epoch)
    assert list_epochs(tmp_path) == [9, 10, 12_345]


def test_leftovers_are_not_listed(tmp_path: Path) -> None:
    written(tmp_path, 2)
    for name in (".epoch-0003.partial-77", ".removed-0001", "epoch-0004.bak", "epoch-", "mine"):
        (tmp_path / name).mkdir()
    assert list_epochs(tmp_path) == [2]


def test_a_write_succeeds_over_the_leftovers_of_another(tmp_path: Path) -> None:
    leftover = tmp_path / ".epoch-0001.partial-77"
    leftover.mkdir()
    (leftover / ARRAYS).write_bytes(b"half")
    assert read_checkpoint(written(tmp_path, 1)).state["epoch"] == 1


def test_pruning_keeps_only_the_given_checkpoints(tmp_path: Path) -> None:
    for epoch in range(1, 6):
        written(tmp_path, epoch)
    (tmp_path / ".removed-0001").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    prune_checkpoints(tmp_path, [Position(epoch) for epoch in (2, 4, 5, 9)])
    assert list_epochs(tmp_path) == [2, 4, 5]
    assert (tmp_path / "notes.txt").exists()
    for epoch in (2, 4, 5):
        assert read_checkpoint(checkpoint_path(tmp_path, Position(epoch))).state["epoch"] == epoch


def test_the_newest_checkpoint_records_the_best_epoch(tmp_path: Path) -> None:
    assert read_best_epoch(tmp_path) is None
    written(tmp_path, 1, best=1)
    written(tmp_path, 3, best=2)
    assert read_best_epoch(tmp_path) == 2
    (tmp_path / "epoch-0003" / STATE).write_text('{"best": 2}')
    with pytest.raises(DlrunError, match="epoch-0003 can't be read"):
        read_best_epoch(tmp_path)
    (tmp_path / "epoch-0003" / STATE).write_text('{"best": null}')
    with pytest.raises(DlrunError, match="has no best epoch"):
        read_best_epoch(tmp_path)


# Killed

WRITING = """
import itertools, sys
from pathlib import Path
import numpy as np
from dlrun.checkpoints.format import Variable, write_checkpoint
from dlrun.checkpoints.store import Position, prune_checkpoints
directory = Path(sys.argv[1])
print("ready", flush=True)
for epoch in itertools.count(1):
    variables = [Variable("v", np.full(100_000, epoch, np.float32))]
    # The last epoch is written again, as by a run that resumes from the epoch before it.
    for number in {max(epoch - 1, 1), epoch}:
        at = Position(number)
        write_checkpoint(directory, at, {"model": variables}, {"n": epoch}, written_by={})
    prune_checkpoints(directory, [Position(n) for n in (epoch - 1, epoch)])
"""

# Dies at its nth file system operation; exits with 3 if there are fewer.
DYING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from dlrun.checkpoints.format import Variable, write_checkpoint
from dlrun.checkpoints.store import Position, prune_checkpoints

def save(directory, epoch, value):
    variables = [Variable("v", np.full(5, value, np.float32))]
    at = Position(epoch)
    write_checkpoint(directory, at, {"model": variables}, {"n": value}, written_by={})

root = Path(sys.argv[1])
save(root / "warm", 1, 0)
for stop in range(1, 200):
    directory = root / f"{stop:03}"
    for epoch in (1, 2):
        save(directory, epoch, epoch)
    child = os.fork()
    if child == 0:
        steps = 0
        def count(event, arguments):
            global steps
            if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
                steps += 1
                if steps == stop:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        save(directory, 3, 3)
        save(directory, 3, 33)
        prune_checkpoints(directory, [Position(n) for n in (2, 3)])
        os._exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
    if status == 3:
        sys.exit()
"""


def test_a_kill_at_any_step_leaves_only_whole_checkpoints(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path)], capture_output=True, text=True, check=True
    )
    codes = [int(line) for line in done.stdout.split()]
    assert codes[-1] == 3
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert len(codes) > 20
    allowed = {1: {1}, 2: {2}, 3: {3, 33}}
    for stop in range(1, len(codes) + 1):
        directory = tmp_path / f"{stop:03}"
        epochs = list_epochs(directory)
        assert 2 in epochs
        for epoch in epochs:
            saved = read_checkpoint(checkpoint_path(directory, Position(epoch)))
            assert saved.state["n"] in allowed[epoch]
            assert (saved.model[0].value == saved.state["n"]).all()


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_only_whole_checkpoints(tmp_path: Path) -> None:
    delays = random.Random(0)
    read = 0
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", WRITING, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writing:
            assert writing.stdout is not None
            writing.stdout.readline()
            time.sleep(delays.uniform(0.02, 0.12))
            writing.kill()
        assert writing.returncode == -signal.SIGKILL
        for epoch in list_epochs(tmp_path):
            saved = read_checkpoint(checkpoint_path(tmp_path, Position(epoch)))
            assert (saved.model[0].value == saved.state["n"]).all()
            read += 1
        shutil.rmtree(tmp_path, ignore_errors=True)
    assert read > 10

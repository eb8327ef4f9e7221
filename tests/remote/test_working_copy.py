"""A working copy and its place, a kill at any operation, and which paths are remote."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dlrun.checkpoints.format import Variable, read_checkpoint, write_checkpoint
from dlrun.checkpoints.history import HistoryFile
from dlrun.checkpoints.store import Position, checkpoint_path, prune_checkpoints
from dlrun.errors import DlrunError
from dlrun.remote.bucket import Bucket
from dlrun.remote.fetch import fetch_file, fetch_listing, fetch_run
from dlrun.remote.folder import Folder
from dlrun.remote.layout import is_fetched, whole
from dlrun.remote.lease import write_lease
from dlrun.remote.places import shown_text, url_for, url_of, working_path


class Killed(BaseException):
    """As a kill: no handler of errors sees it."""


class MortalBucket(Bucket):
    """A place whose process dies before an operation, or before it knows of its end.

    Args:
        url: The place.
        half_operations: How many beginnings and ends it lives to see.
    """

    def __init__(self, url: str, half_operations: int) -> None:
        super().__init__(url)
        self.left = half_operations

    def _count(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def _put(self, name, size, send):
        self._count()
        entry = super()._put(name, size, send)
        self._count()
        return entry

    def remove(self, names):
        for name in names:
            self._count()
            super().remove([name])
            self._count()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DLRUN_REMOTE", str(tmp_path / "here"))
    return f"file://{tmp_path}/there/runs/mlp/run"


def train(run: Path, epochs: range) -> None:
    """Epochs of a run, as the checkpoint callback writes them; the second is the best."""
    directory = run / "checkpoints"
    directory.mkdir(parents=True, exist_ok=True)
    old = [{"history": {"epoch": n}, "callbacks": {}} for n in range(1, epochs.start)]
    history = HistoryFile(directory / "history.jsonl", old)
    for epoch in epochs:
        history.add({"history": {"epoch": epoch}, "callbacks": {}})
        history.flush()
        values = {"model": [Variable("w", np.full(1000, epoch, "float32"))], "optimizer": []}
        state = {"best": {"epoch": min(epoch, 2), "value": 1.0}, "callbacks": {}}
        at = Position(epoch)
        write_checkpoint(directory, at, values, state, written_by={}, history=history.mark())
        prune_checkpoints(directory, [Position(e) for e in (2, epoch - 1, epoch) if e <= epoch])
        (run / "metrics.csv").write_text("epoch\n" + "".join(f"{n}\n" for n in range(1, epoch + 1)))
        (run / "run.json").write_text(json.dumps({"status": "running", "epochs": epoch}))
    (run / "config.yaml").write_text("epochs: 5\n")


def check(there: Path) -> list[int]:
    """The epochs with a checkpoint in a copy that another program made: each is whole."""
    epochs = []
    for manifest in there.glob("checkpoints/*/manifest.json"):
        read = json.loads(manifest.read_text())
        for name, digest in read["files"].items():
            assert hashlib.sha256((manifest.parent / name).read_bytes()).hexdigest() == digest
        lines = (there / "checkpoints/history.jsonl").read_bytes()[: read["history"]["bytes"]]
        assert hashlib.sha256(lines).hexdigest() == read["history"]["sha256"]
        epochs.append(read["epochs"])
    if epochs:
        assert min(max(epochs), 2) in epochs, "the best that the newest names"
    if (there / "run.json").exists():
        assert json.loads((there / "run.json").read_text())["epochs"] <= max(epochs)
    return sorted(epochs)


def test_a_kill_at_any_operation_leaves_whole_checkpoints_and_the_next_process_goes_on(
    place: str, tmp_path: Path
) -> None:
    run, there = working_path(place), tmp_path / "there/runs/mlp/run"
    start = tmp_path / "start"
    train(run, range(1, 4))
    Folder(run, Bucket(place)).send()
    write_lease(Bucket(place))  # as it does every 20 seconds
    assert check(there) == [2, 3]
    shutil.copytree(tmp_path / "there", start / "there")
    train(run, range(4, 6))
    shutil.copytree(tmp_path / "here", start / "here")
    kills = 0
    while True:
        for name in ("here", "there"):
            shutil.rmtree(tmp_path / name)
            shutil.copytree(start / name, tmp_path / name)
        try:
            Folder(run, MortalBucket(place, kills)).send()
        except Killed:
            assert check(there)[-1] >= 3
            kills += 1
        else:
            break
        # The same machine goes on: nothing is fetched over what it has, and the rest is sent.
        fetch_run(place, lambda path: False)
        assert not (tmp_path / "remote-kept").exists()
        assert read_checkpoint(checkpoint_path(run / "checkpoints", Position(5))).state["best"]
        assert Folder(run, Bucket(place)).send() > 0
        assert check(there) == [2, 4, 5]
    assert kills >= 24
    assert not Folder(run, Bucket(place)).unsent()


def test_another_machine_fetches_only_the_checkpoint_that_is_read(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = working_path(place)
    train(run, range(1, 4))
    Folder(run, Bucket(place)).send()
    monkeypatch.setenv("DLRUN_REMOTE", str(tmp_path / "other"))
    other = fetch_run(place, lambda path: False)
    assert not list(other.rglob("arrays.npz"))
    saved = read_checkpoint(checkpoint_path(other / "checkpoints", Position(2)))
    assert saved.model[0].value[0] == 2
    assert [p.parent.name for p in other.rglob("arrays.npz")] == ["epoch-0002"]
    # A damaged object is found by its hash.
    arrays = tmp_path / "there/runs/mlp/run/checkpoints/epoch-0003/arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    with pytest.raises(DlrunError, match=r"is damaged: arrays.npz does not match its hash"):
        read_checkpoint(checkpoint_path(other / "checkpoints", Position(3)))
    # What it goes on with is sent; what it never fetched is not removed there.
    (other / "notes.json").write_text("{}")
    Folder(other, Bucket(place)).send()
    assert (tmp_path / "there/runs/mlp/run/notes.json").exists()
    assert check_names(tmp_path) == ["epoch-0002", "epoch-0003"]


def test_a_file_that_is_replaced_while_it_is_fetched_is_fetched_again(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, left = tmp_path / "there/runs/mlp/run/history.jsonl", [b"c", b"b"]
    count = [0]
    history.parent.mkdir(parents=True)
    history.write_bytes(b"a")

    class Busy(Bucket):
        def _path(self, name):  # asked before the size, and before the content
            if count[0] % 2 and left:
                history.write_bytes(history.read_bytes() + left.pop())
            count[0] += 1
            return super()._path(name)

    entry = Busy(place).download("history.jsonl", tmp_path / "history.jsonl")
    assert (tmp_path / "history.jsonl").read_bytes() == b"abc" and entry.size == 3


def test_of_what_was_only_listed_nothing_is_removed(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(working_path(place), range(1, 4))
    Folder(working_path(place), Bucket(place)).send()
    write_lease(Bucket(place))
    monkeypatch.setenv("DLRUN_REMOTE", str(tmp_path / "other"))
    runs = fetch_listing(Path(f"file://{tmp_path}/there/runs"), lambda path: False)
    assert sorted(p.name for p in runs.rglob("*.*") if p.name[0] != ".") == [
        "config.yaml",
        "metrics.csv",
        "run.json",
    ]
    Folder(runs / "mlp/run", Bucket(place)).send()
    assert check_names(tmp_path) == ["epoch-0002", "epoch-0003"]
    # It is not the one to say that the first machine has stopped.
    assert (tmp_path / "there/runs/mlp/run/.writer.json").exists()


def check_names(tmp_path: Path) -> list[str]:
    found = (tmp_path / "there/runs/mlp/run/checkpoints").glob("*/arrays.npz")
    return sorted(path.parent.name for path in found)


def test_what_another_machine_has_gone_past_is_set_aside(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = working_path(place)
    train(run, range(1, 4))
    Folder(run, Bucket(place)).send()
    train(run, range(4, 5))  # and is killed before it sends
    monkeypatch.setenv("DLRUN_REMOTE", str(tmp_path / "other"))
    other = fetch_run(place, lambda path: False)
    train(other, range(4, 6))
    Folder(other, Bucket(place)).send()
    monkeypatch.setenv("DLRUN_REMOTE", str(tmp_path / "here"))
    caplog.set_level("WARNING", "dlrun")
    assert fetch_run(place, lambda path: False) == run
    assert json.loads((run / "run.json").read_text())["epochs"] == 5
    [kept] = (tmp_path / "remote-kept").iterdir()
    assert json.loads((kept / "run.json").read_text())["epochs"] == 4
    fetch_file(run / "checkpoints/epoch-0005/arrays.npz")
    assert read_checkpoint(checkpoint_path(run / "checkpoints", Position(5))).model


def test_a_checkpoint_without_its_manifest_is_not_there_and_is_removed_by_the_next_writer(
    place: str, tmp_path: Path
) -> None:
    run, there = working_path(place), tmp_path / "there/runs/mlp/run"
    train(run, range(1, 3))
    Folder(run, Bucket(place)).send()
    part = there / "checkpoints/epoch-0009/arrays.npz"
    part.parent.mkdir()
    part.write_bytes(b"half of it")
    names = Bucket(place).list()
    assert "checkpoints/epoch-0009/arrays.npz" in names.keys() - whole(names).keys()
    fetch_run(place, lambda path: False)
    assert not (run / "checkpoints/epoch-0009").exists()
    Folder(run, Bucket(place)).send()
    assert not part.exists()
    assert check(there) == [1, 2]


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("s3://lab/runs", "s3://lab/runs"),
        ("s3:/lab/runs/", "s3://lab/runs"),  # as Path() makes it
        ("file:///tmp/runs", "file:///tmp/runs"),
        ("gs://lab//a", "gs://lab/a"),
        ("runs", None),
        ("/tmp/a:b", None),
        ("c:/runs", None),
    ],
)
def test_a_url_is_remote_and_its_working_copy_leads_back_to_it(typed: str, url: str | None) -> None:
    assert url_of(Path(typed)) == url_of(typed) == url
    if url:
        path = working_path(url)
        assert url_for(path) == url
        assert shown_text(f"x {path}/run y") == f"x {url}/run y"


def test_servers_have_working_copies_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here = working_path("s3://lab/runs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9000")
    assert working_path("s3://lab/runs") != here
    assert url_for(working_path("s3://lab/runs")) == "s3://lab/runs"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("s3://key:secret@lab/runs", "can't hold a name or a password"),
        ("https://host/runs", "can't be written to https://"),
        ("memory://runs", "nothing outlives the process"),
        ("s3://", "expected a bucket and a path"),
        ("s3://lab/../x", "expected a bucket and a path"),
    ],
)
def test_a_place_that_can_not_hold_runs_is_refused(typed: str, message: str) -> None:
    with pytest.raises(DlrunError, match=message) as error:
        url_of(typed)
    assert "secret" not in str(error.value)


def test_a_bucket_can_name_no_file_outside_and_large_results_are_left_there(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "run.json").write_text("{}")
    (there / "a\\..\\b").write_text("")
    assert set(Bucket(f"file://{there}").list()) == {"run.json"}
    assert is_fetched("predictions.npz", 2**20)
    assert not is_fetched("predictions.npz", 2**30)
    assert not is_fetched("checkpoints/epoch-0003/arrays.npz", 10)


def test_a_run_that_a_killed_sweep_had_just_begun_is_not_taken_for_its_own_files(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, there = working_path(place), tmp_path / "there/runs/mlp/run"
    (sweep / "1").mkdir(parents=True)
    (sweep / "sweep.json").write_text("{}")
    (sweep / "1/config.yaml").write_text("epochs: 1\n")  # before its record
    Folder(sweep, Bucket(place)).send()
    assert [p.name for p in there.rglob("*.*")] == ["sweep.json"]
    (there / "1").mkdir()
    (there / "1/config.yaml").write_text("epochs: 1\n")  # sent before the process was killed
    monkeypatch.setenv("DLRUN_REMOTE", str(tmp_path / "other"))
    assert not (fetch_run(place, lambda path: False) / "1").exists()

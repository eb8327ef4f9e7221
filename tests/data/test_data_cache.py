"""The data cache: whole entries only, made once, bounded, whoever dies."""

import multiprocessing
import os
import signal
import time

import pytest

from dlrun.data import cache
from dlrun.errors import DlrunError


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(size, count=None):
    def make(directory):
        if count is not None:
            with count.open("a") as file:
                file.write("x")
            time.sleep(0.3)
        (directory / "array.npy").write_bytes(b"a" * size)

    return make


def get(key, count, size=10):
    cache.cache_entry(key, write(size, count), limit_bytes=1e9)


def test_two_processes_at_once_make_an_entry_once(root, tmp_path):
    count = tmp_path / "count"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=get, args=("k", count)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert count.read_text() == "x"
    assert (root / "k/array.npy").read_bytes() == b"a" * 10


def hang(directory):
    (directory / "array.npy").write_bytes(b"half")
    (directory.parent / "begun").touch()
    time.sleep(60)


def test_a_killed_process_leaves_no_entry_and_no_lock(root):
    process = multiprocessing.get_context("spawn").Process(
        target=cache.cache_entry, args=("k", hang), kwargs={"limit_bytes": 1e9}
    )
    process.start()
    while not (root / "begun").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (root / "k").exists()
    entry = cache.cache_entry("k", write(10), limit_bytes=1e9)
    assert (entry / "array.npy").read_bytes() == b"a" * 10
    assert not list(root.glob(".k-*"))


def test_a_failure_leaves_nothing(root):
    def fail(directory):
        (directory / "array.npy").write_bytes(b"half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.cache_entry("k", fail, limit_bytes=1e9)
    assert not [path for path in root.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("how", ["cut", "changed", "removed", "no manifest"])
def test_a_damaged_entry_is_made_anew(how):
    entry = cache.cache_entry("k", write(10), limit_bytes=1e9)
    if how == "cut":
        (entry / "array.npy").write_bytes(b"aa")
    elif how == "changed":  # of the same size
        (entry / "array.npy").write_bytes(b"b" * 10)
        os.utime(entry / "array.npy", (1, 1))
    elif how == "removed":
        (entry / "array.npy").unlink()
    else:
        (entry / cache.MANIFEST).write_text("{")
    cache.cache_entry("k", write(10), limit_bytes=1e9)
    assert (entry / "array.npy").read_bytes() == b"a" * 10


def test_the_entries_that_were_used_last_are_kept(root):
    for number, key in enumerate("abcd"):
        cache.cache_entry(key, write(1000), limit_bytes=1e9)
        os.utime(root / key, (number, number))
    cache.cache_entry("a", write(1000), limit_bytes=1e9)  # used again
    cache.cache_entry("e", write(1000), limit_bytes=3200)
    assert sorted(p.name for p in root.iterdir() if p.is_dir()) == ["a", "d", "e"]


def test_what_another_run_takes_away_meanwhile_is_no_error(root, tmp_path):
    get("k", tmp_path / "count")
    (root / ".other-1").symlink_to("gone")  # listed, and not there when it is looked at
    get("l", tmp_path / "count")
    assert (root / "l/array.npy").is_file()


def test_a_place_that_can_not_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DlrunError, match=r"the data cache .* can.t be written") as caught:
        cache.cache_entry("k", write(10), limit_bytes=1e9)
    assert "DLRUN_CACHE=" in caught.value.hint


def test_a_full_disk_is_told_and_nothing_half_written_is_left(root):
    def fill(directory):
        with (directory / "array.npy").open("wb") as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(DlrunError, match="No space left") as caught:
        cache.cache_entry("k", fill, limit_bytes=1e9)
    assert caught.value.exit_code == 1
    assert "free some space" in caught.value.hint
    assert not list(root.glob(".k-*"))


def test_what_will_be_needed_is_got_ready_while_a_large_file_is_read(tmp_path, monkeypatch):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    os.utime(path, (1e9, 1e9))
    called = []
    first = cache.content_key([path], lambda: called.append("small"))
    (cache.cache_dir() / "stamps").rename(tmp_path / "stamps")
    monkeypatch.setattr(cache, "LARGE", 8)
    assert cache.content_key([path], lambda: called.append("large")) == first
    assert cache.content_key([path], lambda: called.append("known")) == first
    assert called == ["large"]


def test_a_key_follows_the_content_of_files_not_their_times(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    first = cache.content_key([path])
    os.utime(path, (1, 1))
    assert cache.content_key([path]) == first
    assert cache.content_key([path]) == first  # from the note
    path.write_text("x\n2\n")
    assert cache.content_key([path]) != first

"""Files are written atomically."""

import json
import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dlrun.system.files import (
    dump_json,
    exists,
    is_dir,
    is_file,
    partial_path,
    read_json,
    replacing,
    write_json,
    write_text,
)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Limit files of this process to ``size`` bytes, to simulate a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_text_is_written_without_leftovers(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "größer\n")
    assert (tmp_path / "a.json").read_bytes() == "größer\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_text_replaces_another(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "a long first text")
    write_text(tmp_path / "a", "short")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "short"


def test_a_full_disk_does_not_change_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "first")
    with disk_of(1000), pytest.raises(OSError, match="File too large"):
        write_text(tmp_path / "a", "x" * 100_000)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_text_that_can_not_be_encoded_does_not_change_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "first")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a", "half \ud800")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_missing_directory_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "nosuch" / "a", "text")


def test_json_has_null_for_non_finite_numbers(tmp_path: Path) -> None:
    value = {"loss": math.nan, "of": [math.inf, 1.5], "pair": (-math.inf, 2), "seed": 3}
    expected = {"loss": None, "of": [None, 1.5], "pair": [None, 2], "seed": 3}
    write_json(tmp_path / "a.json", value)
    assert json.loads(dump_json(value)) == expected
    assert read_json(tmp_path / "a.json") == expected


def test_the_temporary_file_keeps_the_suffix_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with replacing(path) as partial:
        assert (partial.suffix, partial.parent) == (".keras", tmp_path)
        assert partial == partial_path(path)
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [one.name for one in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_does_not_change_the_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "preds.npz"
    path.write_text("before")
    with pytest.raises(error), replacing(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["preds.npz"]


def test_an_error_names_the_target_or_the_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "nosuch" / "a.csv"
    with pytest.raises(FileNotFoundError) as caught, replacing(path) as partial:
        partial.write_text("x")
    assert caught.value.filename == str(path)
    other = tmp_path / "input.npy"
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a"):
        other.read_bytes()
    assert caught.value.filename == str(other)


def test_a_name_that_can_be_no_file_is_none(tmp_path: Path) -> None:
    for name in ("x" * 5_000, f"{'x' * 300}.npy", "a\0b"):
        assert not any(there(tmp_path / name) for there in (is_file, is_dir, exists))
    assert is_dir(tmp_path) and exists(tmp_path) and not is_file(tmp_path)

"""Write files atomically, and read JSON with limits."""

import errno
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from dlrun.errors import DlrunError

MAX_BYTES = 64 * 2**20  # the history of a hundred thousand epochs
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of an error that only room mends


# pathlib's own raise OSError for a name that the system takes as none, such as one too long.
def is_file(path: Path | str) -> bool:
    """Whether there is a file; False whatever the system says of the path."""
    return os.path.isfile(path)  # noqa: PTH113


def is_dir(path: Path | str) -> bool:
    """Whether there is a directory; False whatever the system says of the path."""
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: Path | str) -> bool:
    """Whether there is anything; False whatever the system says of the path."""
    return os.path.exists(path)  # noqa: PTH110


def check_writable(path: Path, option: str, *, name: str) -> None:
    """Check that a file can be written, before the work whose result it takes.

    Args:
        path: The file; its directory must exist.
        option: What names the file, such as ``--output``.
        name: A name to suggest where the path is a directory.

    Raises:
        DlrunError: If it is a directory, or its directory is missing or not writable.
    """
    if is_dir(path):
        raise DlrunError(f"{option} {path} is a directory", hint=f"{option} {path / name}")
    if not is_dir(path.parent):
        raise DlrunError(
            f"{option} {path}: there is no directory {path.parent}",
            hint=f"mkdir -p {quote(str(path.parent))}",
        )
    probe = partial_path(path)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DlrunError(
            f"{option} {path} can't be written: {error.strerror}",
            hint="choose another place",
            exit_code=refusal_code(error),
        ) from error


def refusal_code(error: OSError) -> int:
    """The exit code where a place to write to is refused before anything is started.

    A place that can't be written to is bad usage; a full disk is not.
    """
    return 1 if error.errno in FULL else 2


def read_json(path: Path) -> Any:
    """Read a JSON file from an untrusted source.

    Raises:
        OSError: If it can't be read.
        ValueError: If it is not JSON, too large or nested too deeply.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes, more than {MAX_BYTES:,}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Write a value as strict JSON: NaN and infinities become null.

    Raises:
        TypeError: If JSON can't represent the value.
    """
    return json.dumps(_finite(value), indent=indent)


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write a JSON file with :func:`dump_json`, atomically.

    Raises:
        OSError: If it can't be written; an existing file is unchanged.
        TypeError: If JSON can't represent the value.
    """
    write_text(path, dump_json(value, indent=indent) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, and flush it to disk.

    Raises:
        OSError: If it can't be written; an existing file is unchanged.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def append(path: Path, text: str) -> None:
    """Append to a text file that exists: all of the text, or nothing where it can't be written.

    It is not flushed to disk, which may take longer than an epoch.

    Raises:
        OSError: If it can't be written, with its path.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            size, left = os.fstat(descriptor).st_size, memoryview(text.encode())
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
            except BaseException:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it replaces ``path`` when the block ends.

    If the block fails or is interrupted, the temporary file is removed.

    Raises:
        OSError: If it can't be written; an existing file is unchanged.
    """
    partial = partial_path(path)
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):  # if the directory is gone, for example
            partial.unlink()
        # Report the path itself: a full disk names no file, and the temporary name means nothing.
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(partial)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[None]:
    """Remove a file if the block that writes it fails.

    For many small files: :func:`replacing`, which keeps the earlier one, takes longer than to
    write them.

    Raises:
        OSError: If it can't be written, with its path.
    """
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            path.unlink()
        if isinstance(error, OSError) and error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def partial_path(path: Path) -> Path:
    """The temporary path of a file; it keeps the suffix, which libraries use."""
    return path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

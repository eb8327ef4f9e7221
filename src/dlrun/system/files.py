"""Write files atomically, and read JSON with limits."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MAX_BYTES = 64 * 2**20  # the history of a hundred thousand epochs


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


def partial_path(path: Path) -> Path:
    """The temporary path of a file; it keeps the suffix, which libraries use."""
    return path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

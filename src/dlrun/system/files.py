"""Files: written whole or not at all, and read no further than makes sense."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MAX_BYTES = 64 * 2**20  # the history of a hundred thousand epochs


def read_json(path: Path) -> Any:
    """Read a JSON file that may be anybody's.

    Raises:
        OSError: If it can't be read.
        ValueError: If it is no JSON, too large or too deep.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes, and {MAX_BYTES:,} are the most")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Write a value as JSON that every reader takes: what is no finite number becomes null.

    Raises:
        TypeError: If it holds what JSON has no form for.
    """
    return json.dumps(_finite(value), indent=indent)


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write a JSON file as :func:`dump_json` puts it, whole or not at all.

    Raises:
        OSError: If it can't be written; what stood at ``path`` is as it was.
        TypeError: If it holds what JSON has no form for.
    """
    write_text(path, dump_json(value, indent=indent) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, and flush it to the disk.

    Raises:
        OSError: If it can't be written; what stood at ``path`` is as it was.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield another name to write to, which takes the place of ``path`` once all is written.

    Whatever ends the writing before, an interruption too, leaves nothing of it.

    Raises:
        OSError: If it can't be written; what stood at ``path`` is as it was.
    """
    partial = partial_path(path)
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):  # as where the directory is gone
            partial.unlink()
        # A full disk names no file, and the other name tells nobody.
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(partial)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def partial_path(path: Path) -> Path:
    """What a file is called while this process writes it; libraries go by the suffix."""
    return path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

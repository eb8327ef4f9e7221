"""Keep what native libraries write from the terminal."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def filtered_stderr(noise: Sequence[str]) -> Iterator[None]:
    """Drop the lines with these words that native libraries write to stderr in the block.

    They write to the file descriptor directly, so Python settings have no effect.
    """
    try:
        stderr = os.dup(2) if noise else None
    except OSError:  # the parent process has closed it
        stderr = None
    if stderr is None:
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            for line in written:
                if not any(words.encode() in line for words in noise):
                    os.write(2, line)


@contextmanager
def silent_stdout() -> Iterator[None]:
    """Drop what is written to stdout in the block, by native libraries too."""
    with Path(os.devnull).open("wb") as nowhere, _stdout_to(nowhere.fileno()):
        yield


@contextmanager
def stdout_on_stderr() -> Iterator[None]:
    """Send what is written to stdout in the block, by native libraries too, to stderr."""
    with _stdout_to(2):
        yield


@contextmanager
def _stdout_to(file: int) -> Iterator[None]:
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(file, 1)
    try:
        yield
    finally:
        try:
            sys.stdout.flush()  # what Python has printed in the block
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)

"""Start another Python process."""

import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any


def python_command(module: str, *arguments: str) -> list[str]:
    """A command that runs a module in a new Python process.

    ``-P`` keeps the working directory off ``sys.path``, where a user's ``csv.py`` or ``queue.py``
    would shadow the standard library. Reading a config adds the directory of the user's modules.

    Args:
        module: As for ``python -m``.
        arguments: The module's arguments.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def send_line(stdin: IO[bytes] | None, message: Mapping[str, Any]) -> None:
    """Send a message to a process, as a line of JSON; one that has ended does not get it."""
    assert stdin is not None
    with suppress(OSError):
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()


def how_ended(code: int, errors: str = "") -> str:
    """Why a child process failed, in words.

    Args:
        code: Its exit code; below 0 the signal that killed it.
        errors: What it wrote to stderr.
    """
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if told := [line for line in lines if line.startswith("error: ")]:
        return told[-1].removeprefix("error: ")
    if code < 0:
        memory = ", perhaps out of memory" if code == -signal.SIGKILL else ""
        return f"its process was killed by {signal.Signals(-code).name}{memory}"
    last = f": {lines[-1]}" if lines else ""
    return f"its process ended with exit code {code}{last}"

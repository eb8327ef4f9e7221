"""One job in a Python process of its own, with JSON files in and out: both ends of it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, describe
from dlrun.system.child import how_ended, python_command
from dlrun.system.files import is_file, read_json, write_json

POLL_SECONDS = 0.05


def answer_path(job: Path) -> Path:
    """The file for the answer to the job in a file."""
    return job.with_suffix(".answer.json")


def answer_job(do: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Do the job whose file is this process' only argument, and write the answer beside it.

    Args:
        do: Takes the job, and returns the answer. What it raises is an answer too.
    """
    path = Path(sys.argv[1])
    write_json(answer_path(path), answer_or_error(do, read_json(path)))


def answer_or_error(
    do: Callable[[dict[str, Any]], Mapping[str, Any]], job: dict[str, Any]
) -> dict[str, Any]:
    """The answer to a job, or why there is none, as :meth:`DlrunError.to_json` has it."""
    try:
        return {**do(job)}
    except DlrunError as error:
        return error.to_json()
    except Exception as error:
        traceback.print_exc()
        return {"error": describe(error)}


class ChildJob:
    """A job that has been started; in a ``with`` block, its process ends with the block.

    Args:
        module: Run as ``python -m module JOB``; it calls :func:`answer_job`.
        job: In JSON types.
        folder: For the files of the job and of the answer.
        name: Of the job, unique in the folder.
        environment: Variables for the process, besides those of this one.
    """

    def __init__(
        self,
        module: str,
        job: Mapping[str, Any],
        *,
        folder: Path,
        name: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        path = folder / f"{name}.json"
        self._answer = answer_path(path)
        write_json(path, {**job})
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            python_command(module, str(path)),
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            env={**os.environ, **(environment or {})},
        )

    def __enter__(self) -> ChildJob:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def wait(
        self, seconds: float | None = None, watch: Callable[[int], None] | None = None
    ) -> dict[str, Any]:
        """Its answer, once it has ended.

        Args:
            seconds: After which the process is killed, and the answer is what it has written.
            watch: Called with the id of the process every 50 ms; what it raises ends the job.

        Raises:
            DlrunError: If the job failed, or has written nothing in that time.
        """
        try:
            code = self._process.wait(seconds) if watch is None else self._poll(seconds, watch)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            if not is_file(self._answer):
                raise DlrunError(f"no answer in {seconds:.0f} s", exit_code=1) from None
            code = 0
        if not is_file(self._answer):
            self._errors.seek(0)
            raise DlrunError(how_ended(code, self._errors.read()), exit_code=1)
        answer: dict[str, Any] = read_json(self._answer)
        if code == -signal.SIGKILL and "error" not in answer:  # before it was done
            raise DlrunError(how_ended(code), exit_code=1)
        if "error" in answer:
            raise DlrunError.from_json(answer)
        return answer

    def _poll(self, seconds: float | None, watch: Callable[[int], None]) -> int:
        end = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            try:
                return self._process.wait(min(POLL_SECONDS, max(0.0, end - time.monotonic())))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= end:
                    raise
                watch(self._process.pid)

"""The processes of ``dlrun parity``: one for each member, as a process can start one backend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any

from dlrun.errors import DlrunError
from dlrun.system.child import how_ended, python_command


class Processes:
    """A context with a process for each member, started when it gets its first job."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[subprocess.Popen[str], IO[str]]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in list(self._running):
            self._end(name, kill=kind is not None)

    def measure(self, name: str, job: Mapping[str, Any]) -> dict[str, Any]:
        """Let a member's process do a job.

        Args:
            name: The member.
            job: The fields of a :class:`dlrun.proofs.parity_steps.Job`.

        Returns:
            Its answer, see :func:`dlrun.proofs.parity_steps.measure`.

        Raises:
            DlrunError: If the job can't be done; the next one gets a new process.
        """
        process, log = self._process(name)
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            is_done = bool(process.stdout.readline())
        except BrokenPipeError:
            is_done = False
        if not is_done:
            log.seek(0)
            text = log.read()
            code = self._end(name)
            raise DlrunError(f"{name}: {how_ended(code, text)}", exit_code=1)
        answer: dict[str, Any] = json.loads(Path(job["answer"]).read_text(encoding="utf-8"))
        if "error" in answer:
            raise DlrunError.from_json(answer, name)
        return answer

    def _process(self, name: str) -> tuple[subprocess.Popen[str], IO[str]]:
        if name not in self._running:
            log = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            self._running[name] = (
                subprocess.Popen(
                    python_command("dlrun.proofs.parity_steps"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                ),
                log,
            )
        return self._running[name]

    def _end(self, name: str, *, kill: bool = False) -> int:
        process, log = self._running.pop(name)
        if kill:
            process.kill()
        process.communicate()  # closes its input, which ends it
        log.close()
        return process.returncode

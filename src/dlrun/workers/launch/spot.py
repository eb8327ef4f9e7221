"""The spot of one machine in a launched run whose machines an engine places: Slurm or Ray.

On each machine the engine calls :func:`run_node`. It starts ``dlrun launch``, which finds in its
environment which machine it is. The machines and the ``dlrun launch`` of the user share a folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.runs.launches import ENDED, OPENED, REQUEST
from dlrun.system.child import python_command
from dlrun.system.files import read_json, write_json
from dlrun.system.process import CORES
from dlrun.system.signals import SIGNALS
from dlrun.workers.launch.plan import Plan

SPOT = "DLRUN_SPOT"  # the environment variable, in JSON
OUT, ERRORS = "stdout", "stderr"  # of node 0
STOP = "stop"  # holds the signal by which the user has asked the run to end
POLL_SECONDS = 0.5
GRACE_SECONDS = 40.0  # for a launcher to end the run once its engine has ended


class Spot:
    """Which machine of a launched run this process is the launcher of.

    Args:
        folder: What all machines share.
        node: The number of the machine.
        host: Its address, on node 0.
        attempt: How often the engine has started the run before.
        engine: The engine's options, as typed.
    """

    def __init__(self, folder: str, node: int, host: str, attempt: int, engine: str) -> None:
        self._folder = Path(folder)
        self._node = node
        self._host = host
        self._engine = engine
        self._address = self._folder / f"address-{attempt}.json"

    @classmethod
    def from_environment(cls) -> Spot | None:
        """The spot that the engine has told, once; None if it is no engine that started this."""
        if (text := os.environ.pop(SPOT, None)) is None:
            return None
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # Ray has blocked one
        spot = cls(**json.loads(text))
        threading.Thread(target=spot._obey, daemon=True).start()
        return spot

    def place(self, plan: Plan) -> Plan:
        """The plan of this machine.

        Raises:
            DlrunError: If node 0 does not tell its address in time.
        """
        plan = replace(plan, node=self._node, host=self._host, engine=self._engine)
        if self._node == 0:
            return plan
        deadline = time.monotonic() + plan.timeout
        while time.monotonic() < deadline:
            # Listing a folder makes a network file system look for what is new.
            if self._address in self._folder.iterdir():
                found = read_json(self._address)
                return replace(plan, host=str(found["host"]), port=int(found["port"]))
            time.sleep(POLL_SECONDS)
        raise DlrunError(
            f"node 0 has not given its address within {plan.timeout:g} s in {self._folder}",
            hint="the machines need a shared file system; allow more with --timeout",
            exit_code=1,
        )

    def listens(self, port: int) -> None:
        """Tell the other machines where node 0 listens."""
        write_json(self._address, {"host": self._host, "port": port})

    @property
    def previous_run(self) -> str | None:
        """The run that an earlier start has opened."""
        try:
            return str(read_json(self._folder / OPENED)["path"])
        except OSError:
            return None

    def opens(self, path: str) -> None:
        """Keep which run is trained, for a start after this one."""
        write_json(self._folder / OPENED, {"path": path})

    def log_of(self, node: int) -> Path:
        """What the launcher of a machine has said."""
        return self._folder / f"{ERRORS}{_suffix(node)}"

    def _obey(self) -> None:
        """Raise the signals that stdin names; its end is that of the engine's process."""
        for line in sys.stdin:
            os.kill(os.getpid(), int(line))
        if self._node == 0:  # the run is saved
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE_SECONDS)
        os._exit(1)


def run_node(
    folder: Path,
    node: int,
    host: str,
    *,
    cores: int | None = None,
    attempt: int = 0,
    has_notice: Callable[[], bool] = lambda: False,
) -> int:
    """Run the launcher of one machine until the run has ended; returns its exit code.

    Args:
        folder: What all machines share.
        node: The number of the machine.
        host: Its address, for node 0.
        cores: How many of its cores the engine has allotted, if that may not bind the processes.
        attempt: How often the engine has started the run before.
        has_notice: Whether the engine has given notice that it will end the processes.
    """
    request = read_json(folder / REQUEST)
    spot = {"folder": str(folder), "node": node, "host": host, "attempt": attempt}
    environment = {**os.environ, SPOT: json.dumps({**spot, "engine": request["engine"]})}
    if cores:
        environment[CORES] = str(cores)
    own = _suffix(node)
    with (folder / f"{OUT}{own}").open("ab") as out, (folder / f"{ERRORS}{own}").open("ab") as err:
        process = subprocess.Popen(
            python_command("dlrun", *request["command"]),
            cwd=request["cwd"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
        )
    assert process.stdin is not None
    told = False
    with process.stdin as stdin:
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            number = _asked_to_stop(folder, has_notice)
            if number and not told and node == 0:  # which ends the others
                with suppress(OSError):
                    stdin.write(f"{number}\n".encode())
                    stdin.flush()
                told = True
    return process.returncode


def _suffix(node: int) -> str:
    return f"-{node}" if node else ""


def _asked_to_stop(folder: Path, has_notice: Callable[[], bool]) -> int:
    """The signal that asks the run to end; 0 if nothing does."""
    if has_notice():
        return int(signal.SIGTERM)
    try:
        return int((folder / STOP).read_text(encoding="ascii"))
    except (OSError, ValueError):  # not there, or not yet written
        return 0


def report_end(folder: Path, **values: Any) -> None:
    """Tell the user's ``dlrun launch`` that the run has ended, and how."""
    write_json(folder / ENDED, values)

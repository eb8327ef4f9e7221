"""Follow a run whose machines an engine has placed: print what it prints, and stop it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from dlrun.errors import DlrunError
from dlrun.runs.launches import ENDED
from dlrun.system.files import read_json
from dlrun.workers.launch.plan import Plan
from dlrun.workers.launch.spot import STOP, report_end

log = logging.getLogger("dlrun")

POLL_SECONDS = 0.3
LATE_SECONDS = 20.0  # for a file to come through a network file system


class State(NamedTuple):
    """What an engine says of the processes that it was asked for.

    Args:
        phase: ``waiting``, ``running`` or ``ended``.
        text: More of it, in words.
    """

    phase: str
    text: str


class Engine(Protocol):
    """What places the machines of a run."""

    def submit(self, folder: Path, plan: Plan) -> str:
        """Ask for the machines; returns what that is called.

        Raises:
            DlrunError: If the engine refuses.
        """

    def state(self) -> State:
        """How it stands; cheap enough to be asked several times a second."""

    def cancel(self) -> None:
        """End it."""

    def close(self) -> None:
        """Leave the engine, where nothing is followed any more."""


class Follower:
    """Prints what node 0 prints, and passes on that the user stops the run.

    Args:
        folder: That of the launch.
        name: What the engine calls it.
        engine: What has placed the machines.
        copies: Of what node 0 prints.
        signals: Those that were received, a list that grows.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        engine: Engine,
        copies: Sequence[Copy],
        signals: Sequence[int],
    ) -> None:
        self._folder = folder
        self._name = name
        self._engine = engine
        self._copies = copies
        self._signals = signals
        self._told = 0

    def follow(self) -> int:
        """Wait until the run has ended; returns its exit code.

        Raises:
            DlrunError: If the engine has ended it, and node 0 has not told how.
        """
        shown, ended_at = State("", ""), None
        while True:
            ended = (self._folder / ENDED).exists()
            for copy in self._copies:
                copy.go_on()
            if ended:
                return self._end()
            state = self._engine.state()
            if state != shown and state.phase != "ended":
                log.info("launch %s is %s%s", self._name, state.phase, state.text)
            shown = state
            if state.phase == "ended":
                ended_at = ended_at or time.monotonic()
                if self._signals:
                    log.warning("interrupted")
                    report_end(self._folder, code=128 + self._signals[0])
                    return 128 + self._signals[0]
                if time.monotonic() - ended_at > LATE_SECONDS:
                    report_end(self._folder, code=1)
                    raise DlrunError(
                        f"{self._name} has ended: {state.text}",
                        hint=f"see {self._folder}",
                        exit_code=1,
                    )
            self._pass_on(state)
            time.sleep(POLL_SECONDS)

    def _pass_on(self, state: State) -> None:
        """Stop the run for the first signal, at the end of its batch; end it for the second."""
        if len(self._signals) == self._told:
            return
        if len(self._signals) > 1 or state.phase == "waiting":
            self._engine.cancel()
        else:
            (self._folder / STOP).write_text(str(self._signals[0]), encoding="ascii")
        self._told = len(self._signals)

    def _end(self) -> int:
        told = read_json(self._folder / ENDED)
        if told.get("reason"):
            log.error("error: %s%s", told["reason"], f"\n\nhint: {told['hint']}")
        return int(told["code"])


class Copy:
    """Copies a growing file to a stream, until nobody reads that any more."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._at = 0
        self._is_read = True

    def go_on(self) -> None:
        """Copy what is new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                text = file.read()
        except FileNotFoundError:  # nothing was written yet
            return
        self._at += len(text)
        if text and self._is_read:
            try:
                self._stream.write(text)
                self._stream.flush()
            except BrokenPipeError:  # as by head: the run goes on
                self._is_read = False

"""``dlrun launch --slurm`` and ``--ray``: have an engine place a run's machines, and follow it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from shlex import quote
from shutil import rmtree
from typing import BinaryIO, NamedTuple, Protocol

from dlrun.errors import DlrunError
from dlrun.remote.places import url_of
from dlrun.runs.directory import lock, plan_run_path
from dlrun.runs.launches import ENDED, FOLDER, REQUEST
from dlrun.system.files import read_json, write_json
from dlrun.system.signals import record_signals
from dlrun.workers.launch import check_launch
from dlrun.workers.launch_plan import COMMANDS, Plan
from dlrun.workers.launch_spot import ERRORS, OUT, STOP, report_end

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


class EngineRequest(NamedTuple):
    """The engine that was asked for.

    Args:
        name: ``slurm`` or ``ray``.
        options: As ``key=value``, without ``nodes``.
        nodes: The number of machines.
        text: As it was typed.
        detach: Whether to return once it is submitted.
    """

    name: str
    options: Sequence[str]
    nodes: int
    text: str
    detach: bool

    def engine(self) -> Engine:
        """The engine, with its options checked.

        Raises:
            DlrunError: If it is not installed, or an option is wrong.
        """
        if self.name == "slurm":
            from dlrun.workers.on_slurm import Slurm

            return Slurm(self.options)
        from dlrun.workers.on_ray import Ray

        return Ray(self.options)


def read_engine(
    given: Mapping[str, Sequence[str] | None],
    words: Sequence[str],
    *,
    nodes: int,
    master: str | None,
    detach: bool,
) -> tuple[EngineRequest | None, Sequence[str]]:
    """The engine that was asked for, if one was, and the words of the command.

    Args:
        given: The values of ``--slurm`` and ``--ray``.
        words: What stands behind the options: more ``key=value`` for the engine, and the command.
        nodes: The value of ``--nodes``.
        master: That of ``--master``.
        detach: That of ``--detach``.

    Raises:
        DlrunError: If they do not fit together.
    """
    asked = [name for name, options in given.items() if options]
    if len(asked) > 1:
        raise DlrunError("--slurm and --ray: expected one of them")
    if detach and asked != ["slurm"]:
        raise DlrunError("--detach goes with --slurm", hint="a run on Ray ends with dlrun launch")
    if not asked:
        return None, words
    [name] = asked
    if master:
        raise DlrunError(f"--master does not go with --{name}, which finds the address")
    own = list(takewhile(lambda word: word not in COMMANDS and "=" in word, words))
    options = [*(given[name] or ()), *own]
    told = [option for option in options if option.partition("=")[0] == "nodes"]
    numbers = {option.partition("=")[2] for option in told} | ({str(nodes)} - {"1"})
    if len(numbers) > 1 or not all(n.isascii() and n.isdigit() and int(n) for n in numbers):
        raise DlrunError(
            f"--{name}: the number of machines is {' and '.join(sorted(numbers))}",
            hint=f"--{name} nodes=2, once",
        )
    count = int(next(iter(numbers), 1))
    left = [option for option in options if option not in told]
    text = " ".join([f"--{name}", *map(quote, [*left, f"nodes={count}"])])
    return EngineRequest(name, left, count, text, detach), words[len(own) :]


def launch_by_engine(
    plan: Plan,
    asked: EngineRequest,
    out: BinaryIO,
    *,
    overrides: Sequence[str],
    config_dir: Path | None,
    trusted: Sequence[str],
    from_run: str | None,
) -> int:
    """Have an engine place the machines of a run; returns the exit code of rank 0.

    Args:
        plan: What is launched.
        asked: What places it.
        out: Gets what node 0 writes on its standard output.
        overrides: Those of its command, like the next three.
        config_dir: See there.
        trusted: See there.
        from_run: See there.

    Raises:
        DlrunError: If the engine refuses it, or ends it.
    """
    plan, engine, runs = replace(plan, engine=asked.text), asked.engine(), Path("runs")
    if plan.words[0] == "train" and from_run is None:  # else each process checks for itself
        config = check_launch(overrides=overrides, config_dir=config_dir, trusted=trusted)
        if url_of(config.runs_dir) is None:
            runs = Path(config.runs_dir)
    folder = plan_run_path(runs, FOLDER).absolute()
    is_new = not folder.parent.parent.exists()
    folder.mkdir(parents=True)
    command = ["launch", "--nodes", str(plan.nodes), "--per-node", str(plan.per_node)]
    command += ["--restarts", str(plan.restarts), "--timeout", f"{plan.timeout:g}"]
    write_json(
        folder / REQUEST,
        {
            "cwd": str(Path.cwd()),
            "command": [*command, "--", *plan.words],
            "engine": plan.engine,
            "restarts": plan.restarts,
        },
    )
    with record_signals(repeatable=True) as signals, ExitStack() as held:
        held.enter_context(lock(folder))  # which keeps dlrun clean away
        try:
            name = engine.submit(folder, plan)
        except DlrunError:
            held.close()  # some file systems keep a file that is open
            rmtree(folder)
            with suppress(OSError):  # others are in it
                folder.parent.rmdir()
                if is_new:
                    folder.parent.parent.rmdir()
            raise
        try:
            log.info("launch %s, %s", name, _describe(plan))
            if asked.detach:
                log.info("logs   %s", folder)
                return 0
            copies = (_Copy(folder / OUT, out), _Copy(folder / ERRORS, sys.stderr.buffer))
            return _Follower(folder, name, engine, copies, signals).follow()
        finally:
            engine.close()


def _describe(plan: Plan) -> str:
    machines = f"{plan.nodes} machine{'s' if plan.nodes > 1 else ''}"
    return f"{machines} with {plan.per_node} process{'es' if plan.per_node > 1 else ''}" + (
        " each" if plan.nodes > 1 else ""
    )


class _Follower:
    """Prints what node 0 prints, and passes on that the user stops the run."""

    def __init__(
        self,
        folder: Path,
        name: str,
        engine: Engine,
        copies: Sequence[_Copy],
        signals: Sequence[int],
    ) -> None:
        self._folder = folder
        self._name = name
        self._engine = engine
        self._copies = copies
        self._signals = signals
        self._told = 0

    def follow(self) -> int:
        """Wait until the run has ended; returns its exit code."""
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


class _Copy:
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

"""``dlrun launch --slurm`` and ``--ray``: have an engine place a run's machines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from shlex import quote
from shutil import rmtree
from typing import BinaryIO, NamedTuple

from dlrun.errors import DlrunError
from dlrun.remote.places import url_of
from dlrun.runs.directory import lock, plan_run_path
from dlrun.runs.launches import FOLDER, REQUEST
from dlrun.system.files import write_json
from dlrun.system.signals import record_signals
from dlrun.workers.launch.follow import Copy, Engine, Follower
from dlrun.workers.launch.plan import COMMANDS, Plan
from dlrun.workers.launch.run import Command
from dlrun.workers.launch.spot import ERRORS, OUT

log = logging.getLogger("dlrun")


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
            from dlrun.workers.launch.slurm import Slurm

            return Slurm(self.options)
        from dlrun.workers.launch.ray import Ray

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


def launch_by_engine(plan: Plan, command: Command, asked: EngineRequest, out: BinaryIO) -> int:
    """Have an engine place the machines of a run; returns the exit code of rank 0.

    Args:
        plan: What is launched.
        command: That of its processes.
        asked: What places it.
        out: Gets what node 0 writes on its standard output.

    Raises:
        DlrunError: If the engine refuses it, or ends it.
    """
    plan, engine, runs = replace(plan, engine=asked.text), asked.engine(), Path("runs")
    config = command.check()
    if config and url_of(config.runs_dir) is None:
        runs = Path(config.runs_dir)
    folder = plan_run_path(runs, FOLDER).absolute()
    is_new = not folder.parent.parent.exists()
    folder.mkdir(parents=True)
    words = ["launch", "--nodes", str(plan.nodes), "--per-node", str(plan.per_node)]
    words += ["--restarts", str(plan.restarts), "--timeout", f"{plan.timeout:g}"]
    write_json(
        folder / REQUEST,
        {
            "cwd": str(Path.cwd()),
            "command": [*words, "--", *plan.words],
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
            copies = (Copy(folder / OUT, out), Copy(folder / ERRORS, sys.stderr.buffer))
            return Follower(folder, name, engine, copies, signals).follow()
        finally:
            engine.close()


def _describe(plan: Plan) -> str:
    machines = f"{plan.nodes} machine{'s' if plan.nodes > 1 else ''}"
    return f"{machines} with {plan.per_node} process{'es' if plan.per_node > 1 else ''}" + (
        " each" if plan.nodes > 1 else ""
    )

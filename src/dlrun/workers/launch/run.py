"""``dlrun launch`` on this machine: check what is launched, then lead the machines or join them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dlrun.api.earlier import find_earlier
from dlrun.assembly.require import require
from dlrun.backends import distribution_of
from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.remote.places import shown_path
from dlrun.runs.locate import find_run
from dlrun.system.signals import record_signals
from dlrun.workers.launch.head import Head
from dlrun.workers.launch.node import join
from dlrun.workers.launch.plan import Plan
from dlrun.workers.launch.spot import Spot

LATEST = "latest"


class Command(NamedTuple):
    """The command of a launched run's processes, as it was read.

    Args:
        name: ``train`` or ``resume``.
        overrides: As typed.
        project: The user's own options, and what is trusted.
        from_run: The run that a new one repeats; None for one of its own.
        run: The run that is resumed; None for a new one.
        runs_dir: Where it is looked for.
    """

    name: str
    overrides: Sequence[str]
    project: Project
    from_run: str | None = None
    run: str | None = None
    runs_dir: Path = Path("runs")

    def check(self) -> Config | None:
        """Compose the config of a new run, and check it before anything starts.

        Returns:
            None for a run that is resumed or repeats another: each process checks for itself.

        Raises:
            DlrunError: If it is wrong, or its run has no use for several processes.
        """
        if self.name != "train" or self.from_run is not None:
            return None
        config = compose(self.overrides, project=self.project)
        _require_processes(config)
        return config


def settle_run(plan: Plan, command: Command, read: Callable[..., Command]) -> Plan:
    """The plan with the path of the newest run in place of ``latest``.

    By the time a process reads it, or a restart, another run may have begun.

    Args:
        plan: What is launched.
        command: That of its processes.
        read: Reads the command from the words of a plan.

    Raises:
        DlrunError: If there is no run.
    """
    if command.run == LATEST:
        path = shown_path(find_run(LATEST, command.runs_dir).path)
        settled = command._replace(run=path)
    elif command.from_run == LATEST:
        path = shown_path(find_earlier(LATEST, command.overrides).path)
        settled = command._replace(from_run=path)
    else:
        return plan
    # An option of the same value, such as --trust latest, is another part of the command.
    for at, word in enumerate(plan.words):
        if word.endswith(LATEST):  # as --from=latest does
            words = (*plan.words[:at], word.removesuffix(LATEST) + path, *plan.words[at + 1 :])
            if read(*words) == settled:
                return replace(plan, words=words)
    raise AssertionError("a word of the command is latest")


def launch(plan: Plan, command: Command, *, spot: Spot | None = None) -> int:
    """Start the processes of this machine, and wait until the run has ended.

    Args:
        plan: What is launched.
        command: That of its processes.
        spot: What the engine has told that placed this machine, if one did.

    Returns:
        The exit code of rank 0, or that of a failed run. No process is left.

    Raises:
        DlrunError: If nothing can be started, or the machines do not come together.
    """
    command.check()
    with record_signals(repeatable=True) as signals:
        if plan.node:
            return join(plan, signals)
        return Head(plan, signals, spot).run()


def _require_processes(config: Config) -> None:
    """Refuse a config that can't run here, or whose run has no use for several processes."""
    if function := sys.modules.get("dlrun.data.function"):  # composing may have called one
        function.forget()
    require(config, training=True, launches=True)
    kind, name = config.distribution.kind, config.backend.name
    if kind == "none":
        raise DlrunError(
            f"backend={name} distribution=none takes one process",
            hint="add distribution=data_parallel, or dlrun train",
        )
    if kind not in (way := distribution_of(name)).LAUNCHES:
        raise DlrunError(
            f"backend={name} distribution={kind} takes one process: {way.ONE_PROCESS}",
            hint="backend=jax or torch distribution=data_parallel, which can go on with any"
            f" backend's checkpoints; or dlrun train backend={name}, on one machine",
        )

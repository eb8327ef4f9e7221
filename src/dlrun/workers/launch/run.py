"""``dlrun launch`` on this machine: check what is launched, then lead the machines or join them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dlrun.assembly.require import require
from dlrun.backends import distribution_of
from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.system.signals import record_signals
from dlrun.workers.launch.head import Head
from dlrun.workers.launch.node import join
from dlrun.workers.launch.plan import Plan
from dlrun.workers.launch.spot import Spot

LATE_SECONDS = 50.0  # of a resumed run, whose config is not read here


def launch(
    plan: Plan,
    *,
    overrides: Sequence[str],
    project: Project,
    from_run: str | None,
    spot: Spot | None = None,
) -> int:
    """Start the processes of this machine, and wait until the run has ended.

    Args:
        plan: What is launched.
        overrides: Those of its command, like the next two.
        project: See there.
        from_run: See there.
        spot: What the engine has told that placed this machine, if one did.

    Returns:
        The exit code of rank 0, or that of a failed run. No process is left.

    Raises:
        DlrunError: If nothing can be started, or the machines do not come together.
    """
    late_seconds = LATE_SECONDS
    if plan.words[0] == "train" and from_run is None:  # else each process checks for itself
        config = check_launch(overrides=overrides, project=project)
        late_seconds = config.distribution.timeout
    with record_signals(repeatable=True) as signals:
        if plan.node:
            return join(plan, signals)
        return Head(plan, signals, late_seconds, spot).run()


def check_launch(*, overrides: Sequence[str], project: Project) -> Config:
    """Compose the config of a new run, and check it before anything starts.

    Raises:
        DlrunError: If it is wrong, or its run has no use for several processes.
    """
    config = compose(overrides, project=project)
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
    return config

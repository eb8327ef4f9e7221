"""Ray places the machines of a launched run: one task on each of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, did_you_mean, first_line
from dlrun.system.packages import require_package
from dlrun.system.signals import SIGNALS
from dlrun.workers.launch.follow import State
from dlrun.workers.launch.plan import Plan
from dlrun.workers.launch.spot import report_end, run_node

# What each machine is asked for, but for the address of the cluster.
OPTIONS = {"address": str, "num_cpus": int, "num_gpus": int, "memory": int, "accelerator_type": str}


class Ray:
    """Tasks on machines of a Ray cluster, which end with this process.

    Args:
        options: As ``key=value``: keys of :data:`OPTIONS`.

    Raises:
        DlrunError: If Ray is not installed, or an option is wrong.
    """

    def __init__(self, options: Sequence[str]) -> None:
        require_package("ray", "--ray", "ray")
        self._options = dict(_read(option) for option in options)
        self._group: Any = None
        self._ready: Any = None
        self._tasks: list[Any] = []
        self._folder, self._nodes = Path(), 1
        self._cancelled = False

    def submit(self, folder: Path, plan: Plan) -> str:
        """Ask for the machines; returns what that is called.

        Raises:
            DlrunError: If there is no cluster.
        """
        # If there is no cluster, one attempt takes 40 s and can't be interrupted; Ray makes 20.
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        address = str(self._options.get("address", "auto"))
        try:
            ray.init(address, log_to_driver=False, logging_level="error")
        except Exception as error:  # of several kinds
            raise DlrunError(
                f"--ray address={address}: there is no cluster: {first_line(error)}",
                hint="start one with ray start --head, and ray start --address on the others",
            ) from error
        finally:
            for number, handler in handlers.items():  # Ray sets its own
                signal.signal(number, handler)
        self._folder, self._nodes = folder, plan.nodes
        self._options.setdefault("num_cpus", plan.per_node)
        resources = {
            name: float(self._options[key])
            for key, name in (("num_cpus", "CPU"), ("num_gpus", "GPU"), ("memory", "memory"))
            if self._options.get(key)
        }
        if kind := self._options.get("accelerator_type"):
            resources[f"accelerator_type:{kind}"] = 0.001
        self._group = ray.util.placement_group(
            [resources] * plan.nodes, strategy="STRICT_SPREAD" if plan.nodes > 1 else "PACK"
        )
        self._ready = self._group.ready()
        return f"Ray placement group {self._group.id.hex()[:8]}"

    def state(self) -> State:
        """How it stands."""
        import ray

        if self._cancelled:
            return State("ended", "it was cancelled")
        if not self._tasks:
            if not ray.wait([self._ready], timeout=0)[0]:
                asked = ", ".join(f"{key}={v}" for key, v in self._options.items())
                return State("waiting", f" for {self._nodes} with {asked}")
            self._start()
        for node, task in enumerate(self._tasks):
            if ray.wait([task], timeout=0)[0]:
                try:
                    ray.get(task)
                except Exception as error:  # Ray's, or that of the task
                    return State("ended", f"the task of node {node} was lost: {first_line(error)}")
        return State("running", "")

    def _start(self) -> None:
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        task = ray.remote(run_task)
        for node in range(self._nodes):
            place = PlacementGroupSchedulingStrategy(self._group, node)
            options = {
                "num_cpus": self._options["num_cpus"],
                "num_gpus": self._options.get("num_gpus", 0),
                "max_retries": 0,
                "scheduling_strategy": place,
            }
            started = task.options(**options).remote(
                str(self._folder), node, int(self._options["num_cpus"])
            )
            self._tasks.append(started)

    def cancel(self) -> None:
        """End the tasks."""
        import ray

        self._cancelled = True
        for task in self._tasks:
            with suppress(Exception):  # it may have ended
                ray.cancel(task, force=True)

    def close(self) -> None:
        """Give the machines back, and leave the cluster."""
        import ray

        ray.shutdown()


def run_task(folder: str, node: int, cores: int) -> None:
    """What Ray does on each machine.

    Args:
        folder: What all machines share.
        node: The number of the machine.
        cores: How many of its cores are allotted.
    """
    import ray

    os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it, for one process
    code = run_node(Path(folder), node, ray.util.get_node_ip_address(), cores=cores)
    if node == 0:
        report_end(Path(folder), code=code)


def _read(option: str) -> tuple[str, Any]:
    """The key and the value of an option.

    Raises:
        DlrunError: If there is no such option, or the value is of another kind.
    """
    key, is_set, text = option.partition("=")
    if not is_set or key not in OPTIONS:
        raise DlrunError(
            f"--ray {option}: expected key=value, with {', '.join([*OPTIONS, 'nodes'])}",
            hint=did_you_mean(key, OPTIONS),
        )
    if OPTIONS[key] is str:
        return key, text
    if not text.isascii() or not text.isdigit():
        raise DlrunError(f"--ray {option}: expected a whole number")
    return key, int(text)

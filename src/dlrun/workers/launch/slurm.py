"""Slurm places the machines of a launched run: one job, with one task on each of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path

from dlrun.config.sweeps.launcher_options import check_slurm, slurm_parameters
from dlrun.errors import DlrunError, first_line
from dlrun.runs.launches import REQUEST
from dlrun.system.files import read_json, write_json
from dlrun.workers.launch.follow import State
from dlrun.workers.launch.plan import Plan
from dlrun.workers.launch.spot import report_end, run_node

ASK_SECONDS = 5.0
REQUEUED = "requeued.json"  # how often the job was queued again as its time was over
# Some are held until somebody releases them.
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD",
            "SPECIAL_EXIT")  # fmt: skip
_RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT")


class Slurm:
    """A job of Slurm.

    Args:
        options: As ``key=value``: keys of submitit.

    Raises:
        DlrunError: If Slurm or submitit is not installed, or an option is wrong.
    """

    def __init__(self, options: Sequence[str]) -> None:
        check_slurm(options)
        self._options = options
        self._id = ""
        self._asked_at = 0.0
        self._state = State("waiting", "")

    def submit(self, folder: Path, plan: Plan) -> str:
        """Submit the job; returns what it is called.

        Raises:
            DlrunError: If Slurm refuses it.
        """
        import submitit

        parameters = slurm_parameters(self._options)
        more = {"requeue": True, **(parameters.pop("slurm_additional_parameters") or {})}
        notice = float(parameters["slurm_signal_delay_s"])
        if cores := parameters["cpus_per_task"]:  # since 22.05 srun does not take it from sbatch
            parameters["slurm_srun_args"] = [f"--cpus-per-task={cores}"]
        executor = submitit.AutoExecutor(
            cluster="slurm", folder=str(folder / "slurm"), slurm_max_num_timeout=0
        )
        executor.update_parameters(
            nodes=plan.nodes, tasks_per_node=1, slurm_additional_parameters=more, **parameters
        )
        seconds = 60.0 * parameters["timeout_min"] - notice
        try:
            # Without the environment of a job that this may run in; sbatch's errors are told below.
            with submitit.helpers.clean_env(), redirect_stderr(StringIO()):
                job = executor.submit(run_task, str(folder), seconds)
        except submitit.core.utils.FailedJobError as error:
            said = first_line(error).removeprefix("sbatch: error: ")
            raise DlrunError(f"Slurm refuses the job: {said}") from error
        self._id = str(job.job_id)
        return f"Slurm job {self._id}"

    def state(self) -> State:
        """How the job stands, as Slurm said it at most five seconds ago."""
        if time.monotonic() - self._asked_at > ASK_SECONDS:
            self._state = self._ask()
            self._asked_at = time.monotonic()
        return self._state

    def _ask(self) -> State:
        asked = _call("scontrol", "show", "job", "--oneliner", self._id)
        if asked.returncode:
            gone = "Invalid job id" in asked.stderr
            return State("ended", "Slurm has forgotten it") if gone else self._state
        words = [word.partition("=") for word in asked.stdout.split()]
        told = {key: value for key, _, value in words}
        name, reason = told.get("JobState", ""), told.get("Reason", "None")
        if name in _RUNNING:
            return State("running", f" on {told.get('NodeList')}")
        said = "" if reason == "None" else f" ({reason})"
        if name in _WAITING:
            return State("waiting", said)
        return State("ended", f"{name}{said}")

    def cancel(self) -> None:
        """Cancel the job; Slurm lets the run save first."""
        _call("scancel", self._id)

    def close(self) -> None:
        """Nothing: the job is Slurm's."""


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def run_task(folder: str, seconds: float) -> None:
    """What the job does on each machine, called by submitit.

    Args:
        folder: What all machines share.
        seconds: After how long Slurm gives notice that the job's time is over.
    """
    notices: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, _: notices.append(number))
    # Slurm signals all processes of a job. Those that are started inherit that this one is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    def has_notice() -> bool:  # another thread gets it, or none
        return bool(notices) or signal.SIGUSR2 in signal.sigpending()

    started, node = time.monotonic(), int(os.environ["SLURM_NODEID"])
    code = run_node(
        place := Path(folder),
        node,
        # srun runs on node 0.
        os.environ.get("SLURM_LAUNCH_NODE_IPADDR") or socket.gethostbyname(socket.gethostname()),
        cores=int(os.environ.get("SLURM_CPUS_ON_NODE", "0")),
        attempt=int(os.environ.get("SLURM_RESTART_COUNT", "0")),
        has_notice=has_notice,
    )
    if node:
        return
    if code == 0 or not has_notice():
        report_end(place, code=code)
        return
    is_over = time.monotonic() - started > seconds - 60
    if not is_over or _may_go_on(place):
        asked = _call("scontrol", "requeue", os.environ["SLURM_JOB_ID"])
        if asked.returncode == 0:
            time.sleep(60)  # until Slurm ends this
            return
        reason = f"Slurm does not queue the job again: {asked.stderr.strip()}"
    else:
        reason = "the job's time was over"
    report_end(
        place,
        code=code,
        reason=reason,
        hint="resume it as said above, allow more with --slurm timeout_min=MINUTES, or let it go"
        " on by itself with --restarts N",
    )


def _may_go_on(folder: Path) -> bool:
    """Whether the job may be queued again once its time is over, which is counted."""
    count = 0
    with suppress(OSError):
        count = int(read_json(folder / REQUEUED)["count"])
    if count >= int(read_json(folder / REQUEST)["restarts"]):
        return False
    write_json(folder / REQUEUED, {"count": count + 1})
    return True

"""Run a function in the jobs of Hydra's launchers; each job gets a number."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.types import HydraContext

from dlrun.config.sweeps import ray_setup
from dlrun.config.sweeps.launcher_config import compose_launcher, config_loader

# These get one job at a time. In a batch, the first lost job would hide the others, and submitit
# would start all jobs at once.
_ONE_AT_A_TIME = ("ray", "submitit_local")


def launch(
    name: str,
    options: Sequence[str],
    task: Callable[[Any], Any],
    numbers: Sequence[int],
    *,
    directory: Path,
    jobs: int | None,
) -> tuple[dict[int, Any], list[Exception]]:
    """Run a task once for each number by a launcher, and wait for all of them.

    Args:
        name: As for :func:`dlrun.config.sweeps.launcher_options.check`.
        options: As for :func:`dlrun.config.sweeps.launcher_options.check`.
        task: Gets a config with one key, ``number``; must be picklable.
        numbers: The numbers of the jobs.
        directory: For the launcher's files; a new one for each launch.
        jobs: The number of concurrent jobs; None leaves it to Slurm.

    Returns:
        The results of the task by number, and the errors of the launcher.
    """
    loader = config_loader(name, directory)
    config = compose_launcher(loader, [*options, *_jobs_override(name, jobs)])
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
        task_function=task,
        config=config,
    )
    results: dict[int, Any] = {}
    errors: list[Exception] = []

    def launch_batch(batch: Sequence[int]) -> None:
        try:
            jobs_done = launcher.launch([[f"number={n}"] for n in batch], initial_job_idx=batch[0])
            for number, job in zip(batch, jobs_done, strict=True):
                results[number] = job.return_value
        except Exception as error:  # a launcher may raise anything, and other jobs continue
            errors.append(error)

    try:
        with ray_setup.run_ray(config.hydra.launcher, jobs) if name == "ray" else nullcontext():
            if name in _ONE_AT_A_TIME:
                with ThreadPoolExecutor(max_workers=jobs) as pool:
                    list(pool.map(launch_batch, [[number] for number in numbers]))
            else:
                launch_batch(numbers)
    except Exception as error:  # Ray did not start, or there is no cluster
        errors.append(error)
    if errors and name == "submitit_slurm":
        _wait_for_slurm(directory)
    return results, errors


def _jobs_override(name: str, jobs: int | None) -> list[str]:
    key = {"joblib": "n_jobs", "submitit_slurm": "array_parallelism"}.get(name)
    return [f"{key}={jobs}"] if key and jobs else []


def _wait_for_slurm(directory: Path) -> None:
    """Wait for the remaining jobs: Hydra's launcher returns when the first is lost."""
    import submitit

    for submitted in directory.glob(".submitit/*/*_submitted.pkl"):
        number = submitted.name.removesuffix("_submitted.pkl")
        submitit.SlurmJob(submitted.parent, number).wait()

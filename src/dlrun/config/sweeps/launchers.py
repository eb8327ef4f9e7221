"""Run a function in the jobs of Hydra's launchers; each job gets a number.

Only this file and ``grammar.py`` use Hydra's private API.
"""

import importlib.util
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from dlrun.config.explain import nearest
from dlrun.config.sweeps import ray_setup
from dlrun.errors import DlrunError, first_line
from dlrun.system.override_text import split_override

# The extra that installs each launcher; also the name of the module that it needs.
LAUNCHERS = {
    "joblib": "joblib",
    "ray": "ray",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
}

_APP = "dlrun_launcher"
_SLURM = ("sbatch", "srun", "sacct")
# These get one job at a time. In a batch, the first lost job would hide the others, and submitit
# would start all jobs at once.
_ONE_AT_A_TIME = ("ray", "submitit_local")
# Options of the sweep set these; a run is one process on one machine.
_RESERVED_OPTIONS = {
    "_target_": "the launcher is chosen by --launcher",
    "array_parallelism": "--jobs sets how many run at once",
    "backend": "joblib's own backend is always loky",
    "max_num_timeout": "dlrun sweep --resume continues a run that timed out",
    "n_jobs": "--jobs sets how many run at once",
    "nodes": "a run is one process",
    "prefer": "joblib's own backend is always loky",
    "ray.init.num_cpus": "--jobs sets how many run at once",
    "ray.remote.max_retries": "--retries sets how often a run is tried again",
    "require": "joblib's own backend is always loky",
    "submitit_folder": "it is always in the sweep's directory",
    "tasks_per_node": "a run is one process",
    "timeout": "--timeout applies to each run; this one would end all of them",
}


def check(name: str, options: Sequence[str]) -> None:
    """Check that a launcher can be used, before anything is started.

    Args:
        name: One of :data:`LAUNCHERS`.
        options: As ``key=value``, in Hydra's grammar: keys of ``hydra.launcher``.

    Raises:
        DlrunError: If the launcher is unknown or not installed, or an option is wrong.
    """
    if name not in LAUNCHERS:
        raise DlrunError(
            f"--launcher {name}: expected one of {', '.join(LAUNCHERS)}",
            hint=_suggestion(name, LAUNCHERS),
        )
    extra = LAUNCHERS[name]
    if not (_is_installed(extra) and _is_installed(f"hydra_plugins.hydra_{extra}_launcher")):
        raise DlrunError(
            f"--launcher {name} is not installed", hint=f"pip install 'dlrun[{extra}]'"
        )
    if name == "submitit_slurm" and (missing := [c for c in _SLURM if not shutil.which(c)]):
        raise DlrunError(
            f"--launcher submitit_slurm: {', '.join(missing)} not found",
            hint="use a login node of the cluster, or --launcher joblib",
        )
    for option in options:
        _check_option(name, option)
    if name == "ray" and not place(name, options).on_cluster:
        for option in options:
            if _is_under(split_override(option)[0], "ray.remote"):
                raise DlrunError(
                    f"--launcher-option {option} needs a cluster",
                    hint="add --launcher-option ray.init.address=auto, or =HOST:PORT; "
                    "on this machine, --jobs sets how many run at once",
                )


class Place(NamedTuple):
    """Where the runs execute.

    Args:
        on_cluster: Whether a cluster assigns cores and GPUs to the runs.
        threads: The number of threads of a run, if the cluster does not limit it.
    """

    on_cluster: bool
    threads: int | None = None


def place(name: str, options: Sequence[str]) -> Place:
    """Where a launcher runs its jobs.

    Args:
        name: As for :func:`check`.
        options: Valid ones, as for :func:`check`.
    """
    if name == "ray":
        config = _launcher_config(name, options)
        on_cluster = ray_setup.cluster_address(config) is not None
        return Place(on_cluster, ray_setup.thread_count(config) if on_cluster else None)
    return Place(name == "submitit_slurm")


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
        name: As for :func:`check`.
        options: As for :func:`check`.
        task: Gets a config with one key, ``number``; must be picklable.
        numbers: The numbers of the jobs.
        directory: For the launcher's files; a new one for each launch.
        jobs: The number of concurrent jobs; None leaves it to Slurm.

    Returns:
        The results of the task by number, and the errors of the launcher.
    """
    loader = _loader(name, directory)
    config = _compose(loader, name, [*options, *_jobs_override(name, jobs)])
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


def _suggestion(typed: str, names: Iterable[str]) -> str | None:
    near = nearest(typed, names)
    return f"did you mean {near}?" if near else None


def _is_installed(module: str) -> bool:
    with suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def _check_option(name: str, option: str) -> None:
    key, _ = split_override(option)
    for reserved, reason in _RESERVED_OPTIONS.items():
        if _is_under(key, reserved):
            raise DlrunError(f"--launcher-option {option}: {reason}")
    try:
        parsed = OverridesParser.create().parse_override(_under_launcher(option))
    except HydraException as error:
        raise DlrunError(
            f"--launcher-option {option} can't be read: expected key=value",
            hint="quote a value with commas twice: 'partition=\"gpu,long\"'",
        ) from error
    if parsed.is_sweep_override():
        quoted = option.replace("=", '="', 1)
        raise DlrunError(
            f"--launcher-option {option}: expected one value", hint=f"for text, '{quoted}\"'"
        )
    known = [k for k in _keys(_launcher_config(name, [])) if k not in _RESERVED_OPTIONS]
    if not any(_is_under(key, k) for k in known):
        raise DlrunError(
            f"--launcher-option {option}: no such option; there are {', '.join(known)}",
            hint=_suggestion(key, known),
        )
    try:
        _launcher_config(name, [option])
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ or error
        raise DlrunError(f"--launcher-option {option}: {first_line(cause)}") from error


def _is_under(key: str, parent: str) -> bool:
    return key == parent or key.startswith(f"{parent}.")


def _keys(config: DictConfig) -> Iterator[str]:
    for key, value in config.items():
        name = str(key)
        if isinstance(value, DictConfig) and value:
            yield from (f"{name}.{child}" for child in _keys(value))
        else:
            yield name


def _loader(name: str, directory: Path) -> ConfigLoaderImpl:
    """The config loader of a Hydra app that has a number and a launcher."""
    version.setbase("1.3")
    setup_globals()
    Plugins.instance()  # also stores the launchers' configs
    JobRuntime.instance().set("name", "dlrun")  # Slurm's queue shows it
    app = {
        "defaults": [
            {"override hydra/launcher": name},
            # Otherwise Hydra would write to stdout and disable dlrun's own log.
            {"override hydra/hydra_logging": "none"},
            {"override hydra/job_logging": "none"},
            "_self_",
        ],
        "number": 0,
        "hydra": {
            "job": {"chdir": False},
            "launcher": ray_setup.KEYS if name == "ray" else {},
            "output_subdir": None,
            "sweep": {"dir": str(directory.resolve()).replace("${", "\\${"), "subdir": "."},
        },
    }
    ConfigStore.instance().store(name=_APP, node=app)
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    search_path.append("schema", "structured://")
    return ConfigLoaderImpl(search_path)


def _compose(loader: ConfigLoaderImpl, name: str, options: Sequence[str]) -> DictConfig:
    overrides = [_under_launcher(option) for option in options]
    return loader.load_configuration(_APP, overrides, run_mode=RunMode.MULTIRUN)


def _launcher_config(name: str, options: Sequence[str]) -> DictConfig:
    """A launcher's own config."""
    config: DictConfig = _compose(_loader(name, Path()), name, options).hydra.launcher
    return config


def _under_launcher(option: str) -> str:
    return re.sub(r"^([+~]*)", r"\1hydra.launcher.", option, count=1)


def _jobs_override(name: str, jobs: int | None) -> list[str]:
    key = {"joblib": "n_jobs", "submitit_slurm": "array_parallelism"}.get(name)
    return [f"{key}={jobs}"] if key and jobs else []


def _wait_for_slurm(directory: Path) -> None:
    """Wait for the remaining jobs: Hydra's launcher returns when the first is lost."""
    import submitit

    for submitted in directory.glob(".submitit/*/*_submitted.pkl"):
        number = submitted.name.removesuffix("_submitted.pkl")
        submitit.SlurmJob(submitted.parent, number).wait()

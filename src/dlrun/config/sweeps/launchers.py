"""Hydra's launchers as engines: each of their jobs is a number, and what it does is the caller's.

With ``grammar.py``, the one file that knows Hydra's private parts.
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
from dlrun.config.sweeps import on_ray
from dlrun.errors import DlrunError, first_line
from dlrun.system.override_text import split_override

# By name, the extra that brings it: also the module that it stands on.
LAUNCHERS = {
    "joblib": "joblib",
    "ray": "ray",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
}

_APP = "dlrun_launcher"
_SLURM = ("sbatch", "srun", "sacct")
# Given one job after the other: all at once, the first that is lost would hide the others, and
# submitit's would all start.
_ONE_BY_ONE = ("ray", "submitit_local")
# A run is one process on one machine, and what these say is said by options of the sweep.
_NOT_FOR_USERS = {
    "_target_": "the launcher is chosen by --launcher",
    "array_parallelism": "--jobs says how many run at once",
    "backend": "joblib's own backend is always loky",
    "max_num_timeout": "a run that its time has ended goes on with dlrun sweep --resume",
    "n_jobs": "--jobs says how many run at once",
    "nodes": "a run is one process",
    "prefer": "joblib's own backend is always loky",
    "ray.init.num_cpus": "--jobs says how many run at once",
    "ray.remote.max_retries": "--retries says how often a run is tried again",
    "require": "joblib's own backend is always loky",
    "submitit_folder": "it is in the sweep's directory",
    "tasks_per_node": "a run is one process",
    "timeout": "--timeout is for each run; this one would end them all",
}


def check(name: str, options: Sequence[str]) -> None:
    """Find out whether a launcher can be used, before anything is started.

    Args:
        name: One of :data:`LAUNCHERS`.
        options: As ``key=value``, in Hydra's grammar: keys of ``hydra.launcher``.

    Raises:
        DlrunError: If there is none of this name, it is not installed, or an option is wrong.
    """
    if name not in LAUNCHERS:
        raise DlrunError(
            f"--launcher {name}: expected one of {', '.join(LAUNCHERS)}",
            hint=_meant(name, LAUNCHERS),
        )
    extra = LAUNCHERS[name]
    if not (_is_there(extra) and _is_there(f"hydra_plugins.hydra_{extra}_launcher")):
        raise DlrunError(
            f"--launcher {name} is not installed", hint=f"pip install 'dlrun[{extra}]'"
        )
    if name == "submitit_slurm" and (missing := [c for c in _SLURM if not shutil.which(c)]):
        raise DlrunError(
            f"--launcher submitit_slurm: {', '.join(missing)} not found",
            hint="Slurm's commands are on a cluster's login node; elsewhere --launcher joblib",
        )
    for option in options:
        _check_option(name, option)
    if name == "ray" and not place(name, options).on_cluster:
        for option in options:
            if _is_under(split_override(option)[0], "ray.remote"):
                raise DlrunError(
                    f"--launcher-option {option} is for a cluster",
                    hint="add --launcher-option ray.init.address=auto, or =HOST:PORT; "
                    "on this machine --jobs says how many run at once",
                )


class Place(NamedTuple):
    """Where the runs are.

    Args:
        on_cluster: Whether a cluster says which cores and GPUs a run has.
        threads: How many a run may have, where the cluster does not see to that.
    """

    on_cluster: bool
    threads: int | None = None


def place(name: str, options: Sequence[str]) -> Place:
    """Where a launcher runs its jobs.

    Args:
        name: As for :func:`check`.
        options: Likewise; each of them is right.
    """
    if name == "ray":
        chosen = _chosen(name, options)
        return Place(True, on_ray.threads(chosen)) if on_ray.cluster(chosen) else Place(False)
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
    """Have a launcher run a task once for each number, and wait for all of them.

    Args:
        name: As for :func:`check`.
        options: Likewise.
        task: Gets a config with one key, ``number``; can be pickled.
        numbers: Of the jobs.
        directory: For what the launcher writes: new for each launch.
        jobs: How many run at once; None leaves it to Slurm.

    Returns:
        What the task has returned, by number, and what went wrong beside it.
    """
    loader = _loader(name, directory)
    config = _composed(loader, name, [*options, *_parallel(name, jobs)])
    engine = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
        task_function=task,
        config=config,
    )
    returned: dict[int, Any] = {}
    errors: list[Exception] = []

    def some(chosen: Sequence[int]) -> None:
        try:
            done = engine.launch([[f"number={n}"] for n in chosen], initial_job_idx=chosen[0])
            for number, job in zip(chosen, done, strict=True):
                returned[number] = job.return_value
        except Exception as error:  # whatever a launcher raises, other jobs may go on
            errors.append(error)

    try:
        with on_ray.started(config.hydra.launcher, jobs) if name == "ray" else nullcontext():
            if name in _ONE_BY_ONE:
                with ThreadPoolExecutor(max_workers=jobs) as pool:
                    list(pool.map(some, [[number] for number in numbers]))
            else:
                some(numbers)
    except Exception as error:  # of Ray, which does not start, or is not there
        errors.append(error)
    if errors and name == "submitit_slurm":
        _wait_for_slurm(directory)
    return returned, errors


def _meant(typed: str, names: Iterable[str]) -> str | None:
    near = nearest(typed, names)
    return f"did you mean {near}?" if near else None


def _is_there(module: str) -> bool:
    with suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def _check_option(name: str, option: str) -> None:
    key, _ = split_override(option)
    for said, why in _NOT_FOR_USERS.items():
        if _is_under(key, said):
            raise DlrunError(f"--launcher-option {option}: {why}")
    try:
        parsed = OverridesParser.create().parse_override(_under_launcher(option))
    except HydraException as error:
        raise DlrunError(
            f"--launcher-option {option} can't be read: expected key=value",
            hint="with quotes of its own where it has commas: 'partition=\"gpu,long\"'",
        ) from error
    if parsed.is_sweep_override():
        quoted = option.replace("=", '="', 1)
        raise DlrunError(
            f"--launcher-option {option}: one value is expected", hint=f"'{quoted}\"' for a text"
        )
    known = [k for k in _keys(_chosen(name, [])) if k not in _NOT_FOR_USERS]
    if not any(_is_under(key, k) for k in known):
        raise DlrunError(
            f"--launcher-option {option}: {name} has {', '.join(known)}",
            hint=_meant(key, known),
        )
    try:
        _chosen(name, [option])
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ or error
        raise DlrunError(f"--launcher-option {option}: {first_line(cause)}") from error


def _is_under(key: str, parent: str) -> bool:
    return key == parent or key.startswith(f"{parent}.")


def _keys(config: DictConfig) -> Iterator[str]:
    for key, value in config.items():
        name = str(key)
        if isinstance(value, DictConfig) and value:
            yield from (f"{name}.{deeper}" for deeper in _keys(value))
        else:
            yield name


def _loader(name: str, directory: Path) -> ConfigLoaderImpl:
    """Over an app of Hydra's that has a number and a launcher."""
    version.setbase("1.3")
    setup_globals()
    Plugins.instance()  # also stores the launchers' configs
    JobRuntime.instance().set("name", "dlrun")  # Slurm's queue shows it
    app = {
        "defaults": [
            {"override hydra/launcher": name},
            # As they are: Hydra would write to stdout, and switch dlrun's own log off.
            {"override hydra/hydra_logging": "none"},
            {"override hydra/job_logging": "none"},
            "_self_",
        ],
        "number": 0,
        "hydra": {
            "job": {"chdir": False},
            "launcher": on_ray.KEYS if name == "ray" else {},
            "output_subdir": None,
            "sweep": {"dir": str(directory.resolve()).replace("${", "\\${"), "subdir": "."},
        },
    }
    ConfigStore.instance().store(name=_APP, node=app)
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    search_path.append("schema", "structured://")
    return ConfigLoaderImpl(search_path)


def _composed(loader: ConfigLoaderImpl, name: str, options: Sequence[str]) -> DictConfig:
    overrides = [_under_launcher(option) for option in options]
    return loader.load_configuration(_APP, overrides, run_mode=RunMode.MULTIRUN)


def _chosen(name: str, options: Sequence[str]) -> DictConfig:
    """A launcher's own config."""
    chosen: DictConfig = _composed(_loader(name, Path()), name, options).hydra.launcher
    return chosen


def _under_launcher(option: str) -> str:
    return re.sub(r"^([+~]*)", r"\1hydra.launcher.", option, count=1)


def _parallel(name: str, jobs: int | None) -> list[str]:
    key = {"joblib": "n_jobs", "submitit_slurm": "array_parallelism"}.get(name)
    return [f"{key}={jobs}"] if key and jobs else []


def _wait_for_slurm(directory: Path) -> None:
    """Wait for the jobs that go on: Hydra's launcher leaves with the first that is lost."""
    import submitit

    for submitted in directory.glob(".submitit/*/*_submitted.pkl"):
        number = submitted.name.removesuffix("_submitted.pkl")
        submitit.SlurmJob(submitted.parent, number).wait()

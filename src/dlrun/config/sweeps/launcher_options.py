"""Which of Hydra's launchers there are, and the options that each takes."""

import importlib.util
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlrun.config.sweeps import ray_setup
from dlrun.config.sweeps.launcher_config import launcher_config, under_launcher
from dlrun.errors import DlrunError, did_you_mean, first_line
from dlrun.system.override_text import split_override

# The extra that installs each launcher; also the name of the module that it needs.
LAUNCHERS = {
    "joblib": "joblib",
    "ray": "ray",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
}

_SLURM = ("sbatch", "srun")
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


# The same for a launch, which is one job of one task on each machine.
_RESERVED_IN_LAUNCH = {
    "_target_": "Slurm is chosen by --slurm",
    "array_parallelism": "a launch is one job",
    "max_num_timeout": "--restarts sets how often the run goes on",
    "nodes": "it is given once",
    "stderr_to_stdout": "results and messages are kept apart",
    "submitit_folder": "it is always with the runs",
    "tasks_per_node": "--per-node sets the processes of a machine",
}


def check_slurm(options: Sequence[str]) -> None:
    """Check that Slurm can be asked for the machines of a launch.

    Args:
        options: As ``key=value``, in Hydra's grammar: keys of submitit's launcher.

    Raises:
        DlrunError: If Slurm or submitit is not installed, or an option is wrong.
    """
    _check_installed("submitit", "--slurm", ("scontrol", "scancel"), "dlrun launch on each machine")
    for option in options:
        _check_option("submitit_slurm", option, "--slurm", _RESERVED_IN_LAUNCH)


def slurm_parameters(options: Sequence[str]) -> dict[str, Any]:
    """What submitit asks Slurm for, by its own names.

    Args:
        options: Valid ones, as for :func:`check_slurm`.
    """
    of_all = ("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb", "name")
    config = launcher_config("submitit_slurm", options)
    config.name = "dlrun"  # Slurm's queue shows it
    known = [str(key) for key in config if str(key) not in _RESERVED_IN_LAUNCH]
    found = OmegaConf.to_container(OmegaConf.masked_copy(config, known), resolve=True)
    assert isinstance(found, dict)
    return {key if key in of_all else f"slurm_{key}": found[key] for key in known}


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
            hint=did_you_mean(name, LAUNCHERS),
        )
    commands = ("sacct",) if name == "submitit_slurm" else ()
    _check_installed(LAUNCHERS[name], f"--launcher {name}", commands, "--launcher joblib")
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
        config = launcher_config(name, options)
        on_cluster = ray_setup.cluster_address(config) is not None
        return Place(on_cluster, ray_setup.thread_count(config) if on_cluster else None)
    return Place(name == "submitit_slurm")


def _is_installed(module: str) -> bool:
    with suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def _check_installed(extra: str, typed: str, commands: Sequence[str], otherwise: str) -> None:
    if not (_is_installed(extra) and _is_installed(f"hydra_plugins.hydra_{extra}_launcher")):
        raise DlrunError(f"{typed} is not installed", hint=f"pip install 'dlrun[{extra}]'")
    needed = (*_SLURM, *commands) if commands else ()
    if missing := [command for command in needed if not shutil.which(command)]:
        raise DlrunError(
            f"{typed}: {', '.join(missing)} not found",
            hint=f"use a login node of the cluster, or {otherwise}",
        )


def _check_option(
    name: str,
    option: str,
    flag: str = "--launcher-option",
    reserved_options: Mapping[str, str] = _RESERVED_OPTIONS,
) -> None:
    key, _ = split_override(option)
    for reserved, reason in reserved_options.items():
        if _is_under(key, reserved):
            raise DlrunError(f"{flag} {option}: {reason}")
    try:
        parsed = OverridesParser.create().parse_override(under_launcher(option))
    except HydraException as error:
        raise DlrunError(
            f"{flag} {option} can't be read: expected key=value",
            hint="quote a value with commas twice: 'partition=\"gpu,long\"'",
        ) from error
    if parsed.is_sweep_override():
        quoted = option.replace("=", '="', 1)
        raise DlrunError(f"{flag} {option}: expected one value", hint=f"for text, '{quoted}\"'")
    known = [k for k in _keys(launcher_config(name, [])) if k not in reserved_options]
    if not any(_is_under(key, k) for k in known):
        raise DlrunError(
            f"{flag} {option}: no such option; there are {', '.join(known)}",
            hint=did_you_mean(key, known),
        )
    try:
        launcher_config(name, [option])
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ or error
        raise DlrunError(f"{flag} {option}: {first_line(cause)}") from error


def _is_under(key: str, parent: str) -> bool:
    return key == parent or key.startswith(f"{parent}.")


def _keys(config: DictConfig) -> Iterator[str]:
    for key, value in config.items():
        name = str(key)
        if isinstance(value, DictConfig) and value:
            yield from (f"{name}.{child}" for child in _keys(value))
        else:
            yield name

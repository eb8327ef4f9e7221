"""Check that a config can run here, without importing a framework."""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

from dlrun import backends
from dlrun.assembly.trackers import build_trackers
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.loops import LOOPS
from dlrun.system import ranks

RAW = "dlrun.loops.raw.raw"
# Adam's second moment keeps 0.999 of itself each step, which is 1 in bfloat16: it never changes.
HALF = ("bfloat16", "float16")
FIT = ("dlrun.loops.fit.fit", "dlrun.loops.train_step.train_step")


def require(
    config: Config, *, training: bool, builds_model: bool = True, launches: bool = False
) -> None:
    """Check that the backend and the packages of its components are installed.

    Args:
        config: Of the run.
        training: Whether it trains, and writes exports.
        builds_model: Whether the model is built: an exported file holds its own graph.
        launches: Whether this is ``dlrun launch``, which starts the processes of the run.

    Raises:
        DlrunError: If one is not, or if it can't train or compile as the config asks.
    """
    if training and config.precision in HALF:
        raise DlrunError(
            f"precision={config.precision} can't train: most updates are smaller than what a weight"
            f" in {config.precision} can change by, and are lost",
            hint=f"precision=mixed_{config.precision} computes in {config.precision} and keeps the "
            "weights in float32",
        )
    compile = str(config.loop.get("compile", "auto"))
    backends.require(config.backend.name, training=training, compile=compile)
    spread = spread_of(config)
    started = ranks.started_outside()
    if training and started and started.count != config.device.count:
        raise DlrunError(
            f"device.count={config.device.count}: {started.by} has started {started.count}"
            " processes",
            hint=f"backend=torch distribution=data_parallel device.count={started.count}",
        )
    if spread:
        if training and not (launches or started or ranks.current()):
            _refuse_tasks_of_slurm(spread.devices)
        _require_distribution(config, spread, training=training)
    _require_package("feed", config.choices.get("feed"), config.feed)
    if builds_model:
        _require_only_backend("model", config.model, config)
    if training:
        _require_only_backend("loop", config.loop, config)
        _require_single_steps(config)
    if training:
        for group in ("export", "tracker"):
            for name, spec in getattr(config, group).items():
                _require_package(group, name, spec)
        if config.tracker:
            build_trackers(config)  # refuses wrong arguments


def spread_of(config: Config) -> backends.Spread | None:
    """How a config's run is spread over devices; None for one."""
    chosen = config.distribution
    if chosen.kind == "none":
        return None
    layout = None if chosen.layout in (None, "auto") else chosen.layout
    return backends.Spread(
        chosen.kind, config.device.count, layout, chosen.replicas, chosen.timeout
    )


def _refuse_tasks_of_slurm(devices: int) -> None:
    """Refuse to train once in each of the tasks that srun has started, one for each device.

    Raises:
        DlrunError: If it has.
    """
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")  # unlike SLURM_NTASKS, of srun alone
    if devices > 1 and tasks == str(devices):
        nodes = os.environ.get("SLURM_STEP_NUM_NODES", "1")
        one = "srun --ntasks 1 dlrun train ..."
        each = f"srun --ntasks-per-node 1 dlrun launch --nodes {nodes} --master HOST:PORT -- train"
        raise DlrunError(
            f"device.count={devices}: srun has started {tasks} tasks, each of which would train the"
            " whole run",
            hint=f"{one if nodes == '1' else f'{each} ...'}, which starts the processes itself",
        )


def _require_distribution(config: Config, spread: backends.Spread, *, training: bool) -> None:
    """Check that the backend and the loop can spread a run over devices.

    Raises:
        DlrunError: If one can't, or there are fewer devices.
    """
    backends.require_devices(config.backend.name, spread, kind=config.device.kind)
    way = backends.distribution_of(config.backend.name)
    if not training:
        if not way.BY_COMPILER:
            raise DlrunError(
                f"distribution={spread.kind}: on backend '{config.backend.name}' only training is"
                " spread over devices",
                hint="leave out distribution and device.count",
            )
        return
    known = [f"dlrun.loops.{loop}.{loop}" for loop in LOOPS]
    if config.loop["_target_"] not in known or config.loop.get("stepper") is not None:
        raise DlrunError(
            f"distribution={spread.kind}: loop={config.choices.get('loop')} computes on one device",
            hint=f"loop={' or loop='.join(LOOPS)}, or distribution=none device.count=1",
        )
    if config.loop.get("data_on_device") is True:
        raise DlrunError(
            f"distribution={spread.kind}: loop.data_on_device=true is for a run on one device",
            hint="leave out loop.data_on_device",
        )
    if not way.BY_COMPILER and spread.devices > 1:
        _require_own_steps(config, way.COMPILES)
    started = ranks.started_outside()
    if started and not (way.PROCESSES or (started.launcher and spread.kind in way.LAUNCHES)):
        raise DlrunError(
            f"backend={config.backend.name} distribution={spread.kind}: {started.by} can't start"
            " its processes",
            hint="dlrun launch --per-node 2 -- train backend=jax distribution=data_parallel"
            if "data_parallel" in way.LAUNCHES
            else f"dlrun train backend={config.backend.name} ..., which needs one process",
        )


def require_lanes(config: Config) -> None:
    """Check that a run can train beside others in one program.

    Raises:
        DlrunError: If it can't.
    """
    able = [name for name in backends.names() if backends.vectorizes(backends.module(name))]
    wanted = {
        "backend": (config.backend.name in able, f"backend={' or backend='.join(able)}"),
        "loop": (config.loop["_target_"] == RAW, "loop=raw"),
        "loop.stepper": (config.loop.get("stepper") is None, "leave it out"),
        "loop.compile": (config.loop.get("compile") != "eager", "loop.compile=auto"),
        "distribution": (config.distribution.kind == "none", "distribution=none device.count=1"),
        "profile": (not config.profile.get("_target_"), "profile=none"),
    }
    for key, (is_able, hint) in wanted.items():
        if not is_able:
            given = config.choices.get(key, "") or config.loop.get(key.partition(".")[2], "")
            raise DlrunError(
                f"--vectorize: a run with {key}{f'={given}' if given else ''} trains by itself",
                hint=hint,
            )


def _require_own_steps(config: Config, compiles: Sequence[str] | None) -> None:
    """Check that the steps are those that dlrun can share out itself.

    Raises:
        DlrunError: If they are compiled for one device, or random numbers of a part change it.
    """
    way, compile = f"distribution={config.distribution.kind}", config.loop.get("compile", "auto")
    refused = {"compile": compile} if compiles is not None and compile not in compiles else {}
    refused |= {"jit_compile": True} if config.loop.get("jit_compile") is True else {}
    for key, value in refused.items():
        raise DlrunError(
            f"{way}: loop.{key}={str(value).lower()} is for a step on one device",
            hint=f"leave out loop.{key}",
        )
    if config.augmentation:
        raise DlrunError(
            f"{way}: augmentation computes on one device on backend '{config.backend.name}'",
            hint="backend=jax, or distribution=none device.count=1",
        )


def _require_only_backend(group: str, spec: Mapping[str, Any], config: Config) -> None:
    """Check the backend of a model or a loop that is written in one backend's own terms."""
    option, backend = config.choices.get(group), spec.get("only_backend")
    if backend not in (None, config.backend.name):
        raise DlrunError(
            f"{group}={option} computes on backend={backend} alone, not on {config.backend.name}",
            hint=f"backend={backend}",
        )


def _require_single_steps(config: Config) -> None:
    """Check that Keras' own loop can run several steps in one call on the backend, if it has to."""
    steps = config.loop.get("steps_per_execution", 1)
    is_several = isinstance(steps, int) and steps > 1
    backend = backends.training_module(config.backend.name)
    if is_several and config.loop["_target_"] in FIT and not backend.FIT_JOINS_STEPS:
        raise DlrunError(
            f"loop.steps_per_execution={steps}: on backend '{config.backend.name}' Keras' fit()"
            " takes one batch per call",
            hint="loop=raw, or leave out loop.steps_per_execution",
        )


def _require_package(group: str, option: str | None, spec: Mapping[str, Any]) -> None:
    package = spec.get("package")
    if package and importlib.util.find_spec(package) is None:
        ships = str(spec.get("_target_")).startswith("dlrun.")  # its packages are dlrun's extras
        install = f"'dlrun[{package}]'" if ships else package
        raise DlrunError(
            f"{group}={option}: {package} is not installed",
            hint=f"pip install {install}, or choose another option of '{group}'",
        )

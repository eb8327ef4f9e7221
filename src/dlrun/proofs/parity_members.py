"""The members of a parity check: the backends, loops or numbers of devices that it compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dlrun import backends
from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.project import HERE, Project
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.loops import LOOPS
from dlrun.system.override_text import split_override

# What a comparison may be of.
BACKENDS, LOOPS_ALONE, DEVICES = "backends", "loops", "devices"


class Settings(NamedTuple):
    """What all members share.

    Args:
        steps: The number of steps.
        tolerance: Relative, of each step's loss; None takes the measured one.
        prediction_tolerance: Of the predictions; None takes the measured one.
        random: Leave random layers, such as dropout, on.
        project: The user's own options, and what is trusted.
    """

    steps: int = 50
    tolerance: float | None = None
    prediction_tolerance: float | None = None
    random: bool = False
    project: Project = HERE


def list_members(
    overrides: Sequence[str],
    chosen: Sequence[str],
    *,
    loops: bool = False,
    devices: Sequence[int] = (),
) -> dict[str, list[str]]:
    """The overrides of each member of the comparison by name, the reference first.

    Args:
        overrides: As typed.
        chosen: Backends; empty for all that are installed.
        loops: Compare the loops on one backend instead.
        devices: Compare these numbers of devices on one backend instead.

    Raises:
        DlrunError: If there is nothing to compare, or an override chooses what is compared.
    """
    keys = {split_override(override)[0] for override in overrides}
    # The tolerances were measured on CPUs; GPUs may round matrix products to TF32 by default.
    fixed = [] if any(key.partition(".")[0] == "device" for key in keys) else ["device=cpu"]
    if "matmul_precision" not in keys:
        fixed.append("matmul_precision=highest")
    if devices:
        return _members_by_devices([*overrides, *fixed], chosen, devices)
    if loops:
        if chosen:
            hint = f"replace --backends by backend={chosen[0]}"
            raise DlrunError("--loops compares the loops on one backend", hint=hint)
        if "loop" in keys:
            raise DlrunError(
                f"--loops compares {', '.join(LOOPS)}", hint="leave out loop=..., or --loops"
            )
        return {loop: [*overrides, *fixed, f"loop={loop}"] for loop in LOOPS}
    if "backend" in keys:
        raise DlrunError(
            "backend=... chooses one backend, but parity compares several",
            hint="--backends jax,torch; or --loops, for the loops on one backend",
        )
    names = list(dict.fromkeys(chosen)) or backends.installed_backends()
    names.sort(key=lambda name: not backends.module(name).TRAINS)
    if len(names) < 2:
        only = f"--backends {names[0]}" if chosen else f"installed is {', '.join(names) or 'none'}"
        raise DlrunError(
            f"{only}: there is nothing to compare with",
            hint="'dlrun doctor' shows how to install others; --loops compares loops on one",
        )
    typed = {name: [*overrides, *fixed] for name in names}
    if "numpy" in typed:  # it has no other device
        others = [o for o in overrides if split_override(o)[0].partition(".")[0] != "device"]
        typed["numpy"] = [*others, "device=cpu"]
    return {name: [*words, f"backend={name}"] for name, words in typed.items()}


def _members_by_devices(
    overrides: Sequence[str], chosen: Sequence[str], devices: Sequence[int]
) -> dict[str, list[str]]:
    if chosen:
        hint = f"replace --backends by backend={chosen[0]}"
        raise DlrunError("--devices compares numbers of devices on one backend", hint=hint)
    keys = {split_override(override)[0] for override in overrides}
    if "device.count" in keys:
        raise DlrunError("--devices sets device.count", hint="leave out device.count=...")
    if len(set(devices)) < 2:
        raise DlrunError(
            f"--devices {','.join(map(str, devices))}: there is nothing to compare with",
            hint="--devices 1,2,4; the first is what the others are compared with",
        )
    kind = [] if "distribution" in keys else ["distribution=data_parallel"]
    one = [o for o in overrides if split_override(o)[0].partition(".")[0] != "distribution"]
    return {
        f"{count} device{'s' if count > 1 else ''}": [*one, "distribution=none"]
        if count == 1
        else [*overrides, *kind, f"device.count={count}"]
        for count in devices
    }


def compose_members(
    members: Mapping[str, Sequence[str]], settings: Settings, *, compares: str = BACKENDS
) -> dict[str, Config]:
    """The config of each member.

    Args:
        members: From :func:`list_members`.
        settings: What all of them share.
        compares: What the members are.

    Raises:
        DlrunError: If one is wrong, or can't run here.
    """
    configs = {name: compose(typed, project=settings.project) for name, typed in members.items()}
    for config in configs.values():
        only = config.model.get("only_backend")
        if only is not None and compares == BACKENDS:
            raise DlrunError(
                f"model={config.choices.get('model')} computes on backend={only} alone: there is"
                " nothing to compare with",
                hint=f"add --loops backend={only} to compare its loops",
            )
        require(config, training=compares != BACKENDS or trains(config))
    return configs


def trains(config: Config) -> bool:
    """Whether a member can train, rather than predict alone."""
    return backends.module(config.backend.name).TRAINS

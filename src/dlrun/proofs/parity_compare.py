"""Compare the members of a parity check: what each computes, and how far they differ."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from dlrun import __version__, backends
from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.outputs import logged_metrics
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.loops import LOOPS
from dlrun.proofs import agreement
from dlrun.proofs.parity_process import Processes
from dlrun.system.override_text import split_override

log = logging.getLogger("dlrun")

# What a comparison may be of.
BACKENDS, LOOPS_ALONE, DEVICES = "backends", "loops", "devices"


class Settings(NamedTuple):
    """What all members share.

    Args:
        steps: The number of steps.
        tolerance: Relative, of each step's loss; None takes the measured one.
        prediction_tolerance: Of the predictions; None takes the measured one.
        random: Leave random layers, such as dropout, on.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
    """

    steps: int = 50
    tolerance: float | None = None
    prediction_tolerance: float | None = None
    random: bool = False
    config_dir: Path | None = None
    trusted: tuple[str, ...] = ()


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
    configs = {
        name: compose(typed, config_dir=settings.config_dir, trusted=settings.trusted)
        for name, typed in members.items()
    }
    for config in configs.values():
        only = config.model.get("only_backend")
        if only is not None and compares == BACKENDS:
            raise DlrunError(
                f"model={config.choices.get('model')} computes on backend={only} alone: there is"
                " nothing to compare with",
                hint=f"add --loops backend={only} to compare its loops",
            )
        require(config, training=compares != BACKENDS or _trains(config))
    return configs


def compare(
    configs: Mapping[str, Config],
    members: Mapping[str, Sequence[str]],
    processes: Processes,
    directory: Path,
    settings: Settings,
    *,
    compares: str = BACKENDS,
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Let each member predict and train, and compare.

    Args:
        configs: From :func:`compose_members`; the first is the reference.
        members: Their overrides.
        processes: The members' processes.
        directory: For temporary files.
        settings: What all of them share.
        compares: What the members are: backends, loops or devices.

    Returns:
        The result, without the overrides and paths, and the losses by member.

    Raises:
        DlrunError: If a member fails.
    """
    reference, config = next(iter(configs.items()))
    answers, predictions = {}, {}
    with TemporaryDirectory(prefix=".", dir=directory) as temporary:
        for name, typed in members.items():
            job = {
                "overrides": typed,
                "config_dir": str(settings.config_dir.resolve()) if settings.config_dir else None,
                "trusted": list(settings.trusted),
                "steps": settings.steps if compares != BACKENDS or _trains(configs[name]) else 0,
                "random": settings.random,
                "weights": f"{temporary}/weights",
                "first": name == reference,
                "answer": f"{temporary}/{name}.json",
            }
            answers[name] = answer = processes.measure(name, job)
            predictions[name] = _arrays(Path(temporary, f"{name}.npz"))
            row = (name, answer["version"], answer["device"], answer["seconds"])
            log.info("%-11s %s on %s  %.1f s", *row)
    result = {
        "reference": reference,
        "compares": compares,
        "model": config.choices.get("model"),
        **({} if compares == BACKENDS else {"backend": config.backend.name}),
        **({} if compares == LOOPS_ALONE else {"loop": config.choices.get("loop")}),
        "batch_size": config.batch_size,
        "precision": config.precision,
        "matmul_precision": config.matmul_precision,
        "seed": config.seed,
        "dlrun": __version__,
        **_compare(config, answers, predictions, settings),
        "notes": _notes(config, answers, compares),
    }
    return result, {name: a["losses"] for name, a in answers.items() if a["losses"]}


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


def _trains(config: Config) -> bool:
    return backends.module(config.backend.name).TRAINS


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _compare(
    config: Config,
    answers: Mapping[str, Mapping[str, Any]],
    predictions: Mapping[str, Mapping[str, np.ndarray]],
    settings: Settings,
) -> dict[str, Any]:
    """All differences, and whether they are within tolerance."""
    reference, first = next(iter(answers.items()))
    tolerance = agreement.tolerance_for(
        first,
        settings.steps,
        steps=settings.tolerance,
        predictions=settings.prediction_tolerance,
    )
    scaled = [name for name, spec in logged_metrics(config.task).items() if spec is None]
    # After ungated steps the weights may have diverged: no limit.
    expected = tolerance.steps if tolerance.gated == settings.steps else None
    metrics = {
        when: agreement.metrics(
            {name: answer[when] for name, answer in answers.items()},
            reference,
            allowed,
            scaled=scaled,
            samples=first["tested"],
        )
        for when, allowed in (("initial", tolerance.predictions), ("final", expected))
    }
    losses = agreement.losses({n: a["losses"] for n, a in answers.items()}, reference, tolerance)
    predicted = agreement.predictions(predictions, reference, tolerance.predictions)
    entries = {"predictions": predicted, "loss from step {}": losses}
    entries |= {f"{when} {n}": e for when, entry in metrics.items() for n, e in entry.items()}
    beyond = {
        name: [
            what.format(losses["first_beyond"].get(name))
            for what, entry in entries.items()
            if name in entry["beyond"]
        ]
        for name in answers
    }
    passed = [step for step in losses["first_beyond"].values() if step]
    return {
        "members": {
            name: {key: answer[key] for key in ("version", "device", "seconds")}
            for name, answer in answers.items()
        },
        "tolerance": vars(tolerance),
        "predictions": {"samples": first["predicted"], **predicted},
        "steps": losses,
        "metrics": {"samples": first["tested"], **metrics},
        "first_beyond": min(passed, default=None),
        "beyond": {name: whats for name, whats in beyond.items() if whats},
        "within": not any(beyond.values()),
    }


def _notes(config: Config, answers: Mapping[str, Mapping[str, Any]], compares: str) -> list[str]:
    """Conditions that a reader of the differences should know."""
    first = next(iter(answers.values()))
    notes = []
    # Loops and devices mostly draw the same ones.
    why = ", since random numbers differ" if compares == BACKENDS else " without --random"
    if first["silenced"]:
        notes.append(f"set to 0{why}: {', '.join(first['silenced'])}")
    if first["left_out"]:
        notes.append(f"left out{why}: {', '.join(first['left_out'])}")
    if first["random"]:
        which = {
            BACKENDS: "by each backend its own",
            LOOPS_ALONE: "other ones if a loop compiles differently",
            DEVICES: "for each sample, whatever its device",
        }[compares]
        notes.append(f"random numbers are drawn by {', '.join(first['random'])}: {which}")
    if config.precision != "float32":
        notes.append(f"tolerances were measured in float32, but this is {config.precision}")
    if not all(answer["device"].startswith("cpu") for answer in answers.values()):
        exact = f"matrix products have matmul_precision={config.matmul_precision}"
        notes.append(f"tolerances were measured on CPUs; {exact}")
    return notes

"""Compare what the members of a parity check compute: how far it differs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dlrun import __version__
from dlrun.config.outputs import logged_metrics
from dlrun.config.schema import Config
from dlrun.proofs import agreement
from dlrun.proofs.parity_members import BACKENDS, DEVICES, LOOPS_ALONE, Settings, trains
from dlrun.proofs.parity_process import Processes

log = logging.getLogger("dlrun")


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
        configs: Of the members, by their names; the first is the reference.
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
                "project": settings.project.to_json(),
                "steps": settings.steps if compares != BACKENDS or trains(configs[name]) else 0,
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
        first, settings.steps, steps=settings.tolerance, predictions=settings.prediction_tolerance
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

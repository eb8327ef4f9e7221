"""``dlrun parity``: the same steps on each backend, or in each loop, and how far they differ."""

from __future__ import annotations

import csv
import io
import json
import logging
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dlrun import __version__, backends
from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.outputs import logged_metrics
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.loops import LOOPS
from dlrun.proofs import agreement
from dlrun.report.parity import draw
from dlrun.runs.directory import plan_run_path
from dlrun.system import pictures
from dlrun.system.child import how_ended, python_command
from dlrun.system.files import write_json, write_text
from dlrun.system.override_text import split_override

log = logging.getLogger("dlrun")


def parity(
    overrides: Sequence[str] = (),
    *,
    chosen: Sequence[str] = (),
    loops: bool = False,
    steps: int = 50,
    tolerance: float | None = None,
    prediction_tolerance: float | None = None,
    random: bool = False,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
) -> dict[str, Any]:
    """Train the first steps of a run in several processes, from the same weights, and compare.

    The config's callbacks are not used. Runs on the CPU, unless an override chooses a device.

    Args:
        overrides: As typed after ``dlrun parity``.
        chosen: Backends; empty for all that are installed. The first that trains is the reference.
        loops: Compare the loops on the config's backend instead.
        steps: The number of steps.
        tolerance: Relative, of each step's loss; None takes the measured one.
        prediction_tolerance: Of the predictions; None takes the measured one.
        random: Leave random layers, such as dropout, on.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.

    Returns:
        The result, as ``dlrun parity --json`` prints it.

    Raises:
        DlrunError: If the config is wrong, there is nothing to compare, or a process fails.
    """
    members = _members(overrides, chosen, loops)
    configs = {
        name: compose(typed, config_dir=config_dir, trusted=trusted)
        for name, typed in members.items()
    }
    trains = {name: _require(config, loops) for name, config in configs.items()}
    reference, config = next(iter(configs.items()))
    with _directory(Path(config.runs_dir)) as directory:
        answers, predictions = {}, {}
        with TemporaryDirectory(prefix=".", dir=directory) as temporary:
            for name, typed in members.items():
                job = {
                    "overrides": typed,
                    "config_dir": str(config_dir.resolve()) if config_dir else None,
                    "trusted": list(trusted),
                    "steps": steps if trains[name] else 0,
                    "random": random,
                    "weights": f"{temporary}/weights",
                    "first": name == reference,
                    "answer": f"{temporary}/{name}.json",
                }
                answers[name] = answer = _run_job(name, job)
                predictions[name] = _arrays(Path(temporary, f"{name}.npz"))
                row = (name, answer["version"], answer["device"], answer["seconds"])
                log.info("%-11s %s on %s  %.1f s", *row)
        result = {
            "reference": reference,
            "compares": "loops" if loops else "backends",
            "model": config.choices.get("model"),
            **({"backend": config.backend.name} if loops else {"loop": config.choices.get("loop")}),
            "batch_size": config.batch_size,
            "precision": config.precision,
            "seed": config.seed,
            "overrides": list(overrides),
            "dlrun": __version__,
            **_compare(config, answers, predictions, steps, tolerance, prediction_tolerance),
            "notes": _notes(config, answers, loops),
        }
        _write(directory, result, {name: a["losses"] for name, a in answers.items() if a["losses"]})
    return result


def _members(overrides: Sequence[str], chosen: Sequence[str], loops: bool) -> dict[str, list[str]]:
    """The overrides of each member of the comparison by name, the reference first."""
    keys = {split_override(override)[0] for override in overrides}
    # The tolerances were measured on CPUs; GPUs may round matrix products to TF32.
    device = [] if any(key.partition(".")[0] == "device" for key in keys) else ["device=cpu"]
    if loops:
        if chosen:
            hint = f"replace --backends by backend={chosen[0]}"
            raise DlrunError("--loops compares the loops on one backend", hint=hint)
        if "loop" in keys:
            raise DlrunError(
                f"--loops compares {', '.join(LOOPS)}", hint="leave out loop=..., or --loops"
            )
        return {loop: [*overrides, *device, f"loop={loop}"] for loop in LOOPS}
    if "backend" in keys:
        raise DlrunError(
            "backend=... chooses one backend, but parity compares several",
            hint="--backends jax,torch; or --loops, for the loops on one backend",
        )
    names = list(dict.fromkeys(chosen)) or backends.installed()
    names.sort(key=lambda name: not backends.module(name).TRAINS)
    if len(names) < 2:
        only = f"--backends {names[0]}" if chosen else f"installed is {', '.join(names) or 'none'}"
        raise DlrunError(
            f"{only}: there is nothing to compare with",
            hint="'dlrun doctor' shows how to install others; --loops compares loops on one",
        )
    typed = {name: [*overrides, *device] for name in names}
    if "numpy" in typed:  # it has no other device
        others = [o for o in overrides if split_override(o)[0].partition(".")[0] != "device"]
        typed["numpy"] = [*others, "device=cpu"]
    return {name: [*words, f"backend={name}"] for name, words in typed.items()}


def _require(config: Config, training: bool) -> bool:
    """Check that a backend is installed; returns whether it trains, as ``training`` demands."""
    trains = training or backends.module(config.backend.name).TRAINS
    require(config, training=trains)
    return trains


@contextmanager
def _directory(runs_dir: Path) -> Iterator[Path]:
    """A new directory for the result, removed if it stays empty."""
    directory = plan_run_path(runs_dir, "parity")
    try:
        directory.mkdir(parents=True)
        yield directory
    except OSError as error:
        raise DlrunError(
            f"can't write to {directory}: {error.strerror or error}",
            hint="choose another place with runs_dir=PATH",
        ) from error
    finally:
        with suppress(OSError):  # not empty
            directory.rmdir()


def _run_job(name: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a job in a new process, since a process can start only one backend."""
    command = python_command("dlrun.proofs.parity_steps", json.dumps(job))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(Path(job["answer"]).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        why = how_ended(done.returncode, done.stderr)
        raise DlrunError(f"{name}: {why}", exit_code=1) from error
    if "error" in answer:
        raise DlrunError(
            f"{name}: {answer['error']}", hint=answer["hint"], exit_code=answer["exit_code"]
        )
    return answer


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _compare(
    config: Config,
    answers: Mapping[str, Mapping[str, Any]],
    predictions: Mapping[str, Mapping[str, np.ndarray]],
    steps: int,
    step_tolerance: float | None,
    prediction_tolerance: float | None,
) -> dict[str, Any]:
    """All differences, and whether they are within tolerance."""
    reference, first = next(iter(answers.items()))
    tolerance = agreement.tolerance_for(
        first, steps, steps=step_tolerance, predictions=prediction_tolerance
    )
    scaled = [name for name, spec in logged_metrics(config.task).items() if spec is None]
    # After ungated steps the weights may have diverged: no limit.
    expected = tolerance.steps if tolerance.gated == steps else None
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


def _notes(config: Config, answers: Mapping[str, Mapping[str, Any]], loops: bool) -> list[str]:
    """Conditions that a reader of the differences should know."""
    first = next(iter(answers.values()))
    notes = []
    if first["silenced"]:
        notes.append(f"set to 0, since random numbers differ: {', '.join(first['silenced'])}")
    if first["random"]:
        which = "other ones if a loop compiles differently" if loops else "by each backend its own"
        notes.append(f"random numbers are drawn by {', '.join(first['random'])}: {which}")
    if config.precision != "float32":
        notes.append(f"tolerances were measured in float32, but this is {config.precision}")
    if not all(answer["device"].startswith("cpu") for answer in answers.values()):
        notes.append("tolerances were measured on CPUs; GPUs may round matrix products to TF32")
    return notes


def _write(directory: Path, result: dict[str, Any], losses: Mapping[str, Sequence[float]]) -> None:
    """Write the losses, their curves and the result, and add their paths to it."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["step", *losses])
    columns = zip(*losses.values(), strict=True)
    writer.writerows([step, *row] for step, row in enumerate(columns, 1))
    write_text(directory / "losses.csv", rows.getvalue())
    plot = directory / "losses.png"
    try:
        pictures.require_matplotlib("the plot")
        pictures.save(draw(result, losses, agreement.relative(losses, result["reference"])), plot)
    except DlrunError as error:
        result["notes"].append(f"no plot: {error.message}; {error.hint}")
    result |= {
        "directory": str(directory),
        "losses": str(directory / "losses.csv"),
        "plot": str(plot) if plot.is_file() else None,
    }
    write_json(directory / "parity.json", result)

"""``dlrun evaluate``: the metrics of a run's model, on any backend."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.config.explain import nearest
from dlrun.config.outputs import logged
from dlrun.errors import DlrunError
from dlrun.inference.evaluation import evaluate_split
from dlrun.inference.loaded_run import load_run, open_run


def evaluate(
    run: str,
    overrides: Sequence[str] = (),
    *,
    which: str = "best",
    split: str = "test",
    fail_under: Sequence[str] = (),
    runs_dir: Path = Path("runs"),
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Evaluate one checkpoint of a run.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config: backend, device, data, batch size, metrics.
        which: ``best``, ``last`` or the number of an epoch.
        split: ``train``, ``validation`` or ``test``.
        fail_under: Gates, each ``metric=value``.
        runs_dir: Where ``latest`` looks.
        config_dir: The user's own options.
        trusted: Modules that the run may name besides those that the user's options name.

    Returns:
        The result, as ``dlrun evaluate --json`` prints it, and why gates did not hold.

    Raises:
        DlrunError: If the run, an override, a gate or the checkpoint is unusable.
    """
    opened, config = open_run(
        run, overrides, runs_dir=runs_dir, config_dir=config_dir, trusted=trusted
    )
    gates = _gates(fail_under, list(logged(config.task)))
    loaded = load_run(opened, config, which, compiled=True)
    metrics = evaluate_split(loaded.model, config, loaded.data, split)
    result = {
        "run_dir": str(opened.path),
        "checkpoint": which,
        "epoch": loaded.epoch,
        "backend": config.backend.name,
        "split": split,
        "samples": len(loaded.data.split(split)),
        "metrics": metrics,
    }
    return result, [
        f"{name} {metrics[name]:.6g} is under {least:g}"
        for name, least in gates.items()
        if not metrics[name] >= least  # so that NaN holds no gate
    ]


def _gates(fail_under: Sequence[str], names: Sequence[str]) -> Mapping[str, float]:
    gates = {}
    for gate in fail_under:
        name, _, value = gate.partition("=")
        try:
            gates[name] = float(value)
        except ValueError as error:
            raise DlrunError(
                f"--fail-under {gate}: expected metric=number", hint="--fail-under accuracy=0.97"
            ) from error
        if math.isnan(gates[name]):
            raise DlrunError(f"--fail-under {gate}: nothing is under nan")
        if name not in names:
            near = nearest(name, names)
            raise DlrunError(
                f"--fail-under {gate}: no metric '{name}'; there are {', '.join(names)}",
                hint=f"did you mean --fail-under {near}={value}?" if near else None,
            )
    return gates

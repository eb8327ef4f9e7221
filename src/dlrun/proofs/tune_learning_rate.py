"""``dlrun tune learning_rate``: a range test, in which the learning rate rises in each update."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun import backends
from dlrun.assembly.require import require
from dlrun.assembly.start import start
from dlrun.config.compose import compose
from dlrun.config.project import HERE, Project
from dlrun.config.schema import Config
from dlrun.errors import DlrunError, RunInterrupted
from dlrun.losses.loss_scale import inner_optimizer
from dlrun.proofs.rising_config import check_loop, rate_key, rising_config
from dlrun.proofs.tune_files import prepare, write_curve
from dlrun.runs.directory import plan_run_path
from dlrun.training.initial_weights import read_initial_weights

if TYPE_CHECKING:
    from dlrun.proofs.rising_rate import RisingRate
    from dlrun.training.assembled_run import AssembledRun

log = logging.getLogger("dlrun")

MEAN_OVER = 10  # a part of the steps that a mean is over, on either side
FOLDER = "tune"  # in runs_dir
SPAN = (1e-30, 1e30)  # what float32 can hold, with room


class RangeSettings(NamedTuple):
    """What to try.

    Args:
        minimum: The first learning rate.
        maximum: The last one.
        steps: The number of updates.
        smoothing: As for :func:`dlrun.proofs.range_test.smooth`; None for means over about a
            tenth of the steps.
        budget: Seconds, at most.
        project: The user's own options, and what is trusted.
    """

    minimum: float = 1e-7
    maximum: float = 10.0
    steps: int = 100
    smoothing: float | None = None
    budget: float = 110.0
    project: Project = HERE

    @property
    def decay(self) -> float:
        """What a loss counts one step away."""
        if self.smoothing is not None:
            return self.smoothing
        return max(0.0, 1 - MEAN_OVER / self.steps)


def tune_learning_rate(overrides: Sequence[str], settings: RangeSettings) -> dict[str, Any]:
    """Train with a rising learning rate until the loss diverges, and suggest a rate.

    Optimizer, weight decay, augmentation, loop and order of the batches are those of a run. A
    schedule of the config is replaced, and its callbacks are left out. Nothing is trained on.

    Args:
        overrides: As typed after ``dlrun tune learning_rate``.
        settings: What to try.

    Returns:
        The result, as ``--json`` prints it.

    Raises:
        DlrunError: If the config or a setting is wrong, or a learning rate can't be scheduled.
        RunInterrupted: If a signal stopped it; nothing is written then.
    """
    began = time.monotonic()
    _check(settings)
    config = compose(overrides, project=settings.project)
    require(config, training=True)
    key = rate_key(config)
    check_loop(config)
    backends.prepare(config.backend.name)
    path = plan_run_path(Path(config.runs_dir), FOLDER)
    prepare(path)
    tested = rising_config(
        config, key, minimum=settings.minimum, maximum=settings.maximum, steps=settings.steps
    )
    run, device = _assemble(tested, overrides, path)
    try:
        watch = _train(run, tested, settings, began + settings.budget)
    except RunInterrupted:
        log.info("interrupted; no file was written")
        raise
    result = {
        **_what(config, device),
        "overrides": list(overrides),
        **_judge(watch, key, settings),
        "directory": str(path),
        "seconds": round(time.monotonic() - began, 1),
    }
    write_curve(path, result)
    return result


def _check(settings: RangeSettings) -> None:
    low, high = settings.minimum, settings.maximum
    if not SPAN[0] <= low < high <= SPAN[1]:
        raise DlrunError(
            f"--min {low:g} --max {high:g}: expected learning rates above 0, the second the higher",
            hint="--min 1e-7 --max 10",
        )
    smoothing = settings.smoothing
    if smoothing is not None and not 0 <= smoothing < 1:
        raise DlrunError(f"--smoothing {smoothing:g}: expected a number from 0, below 1")
    if not (settings.budget > 0 and math.isfinite(settings.budget)):
        raise DlrunError(f"--budget {settings.budget:g}: expected a number of seconds above 0")


def _assemble(config: Config, overrides: Sequence[str], path: Path) -> tuple[AssembledRun, str]:
    weights = read_initial_weights(config)
    session = start(config)
    # These import Keras, so only after its backend is started.
    from dlrun.training.assembled_run import assemble, connect
    from dlrun.training.destinations import NewDestination
    from dlrun.training.request import RunRequest

    destination = NewDestination(path, {}, dict)
    request = RunRequest(
        config, overrides, (), time.time(), destination, "", initial_weights=weights, quiet=True
    )
    run = assemble(request, session)
    connect(run, request, None)
    return run, session.device


def _train(run: AssembledRun, config: Config, settings: RangeSettings, until: float) -> RisingRate:
    """Call the loop of the config."""
    from dlrun.assembly.companions import together
    from dlrun.data.batches import Batches
    from dlrun.loops.training import Training
    from dlrun.proofs.rising_rate import RisingRate

    optimizer = inner_optimizer(run.model.optimizer)
    per_update = optimizer.gradient_accumulation_steps or 1
    watch = RisingRate(settings.steps, per_update, settings.decay, until)
    batches = Batches(run.data, run.data.train, config.batch_size, seed=config.seed)
    log.info(
        "tune   learning rate from %g to %g in %d steps of %d samples, %s, loop %s",
        *(settings.minimum, settings.maximum, settings.steps, config.batch_size * per_update),
        *(config.choices.get("optimizer"), config.choices.get("loop")),
    )
    with run.interruption.listen(), together(run.model, config, batches) as others:
        run.loop(
            Training(
                model=run.model,
                train=batches,
                validation=None,
                epochs=math.ceil(settings.steps * per_update / len(batches)),
                seed=config.seed,
                callbacks=[run.interruption, watch, *others],
                backend=run.backend,
            )
        )
    if not watch.rates or len(set(watch.rates)) < min(2, len(watch.rates)):
        raise DlrunError(
            f"loop={config.choices.get('loop')} takes no step with the optimizer's learning rate",
            hint="loop=fit, loop=train_step or loop=raw",
        )
    return watch


def _what(config: Config, device: str) -> dict[str, Any]:
    names = ("model", "data", "optimizer", "loop")
    return {
        **{name: config.choices.get(name) for name in names},
        "backend": config.backend.name,
        "device": device,
        "batch_size": config.batch_size,
    }


def _judge(watch: RisingRate, key: str, settings: RangeSettings) -> dict[str, Any]:
    """The curve and what it suggests."""
    from dlrun.proofs.range_test import smooth, suggest

    pairs = zip(watch.rates, watch.update_losses, strict=True)
    finite = [(rate, loss) for rate, loss in pairs if math.isfinite(loss)]
    rates, losses = [rate for rate, _ in finite], [loss for _, loss in finite]
    if not finite:
        raise DlrunError(
            f"the loss of the first step is {watch.update_losses[0]}",
            hint="check the data with dlrun data, or train once to see where it comes from",
            exit_code=1,
        )
    means = smooth(losses, settings.decay)
    place, lowest, reason = suggest(rates, losses, means)
    rate = None if place is None else float(f"{rates[place]:.2g}")
    diverged = watch.rates[-1] if watch.stopped_by not in ("steps", "time") else None
    curve = [
        {"step": step, "learning_rate": rate, "loss": loss, "smoothed": float(mean)}
        for step, (rate, loss, mean) in enumerate(zip(rates, losses, means, strict=True), 1)
    ]
    return {
        "min": settings.minimum,
        "max": settings.maximum,
        "steps": settings.steps,
        "smoothing": settings.decay,
        "taken": len(watch.rates),
        "stopped_by": watch.stopped_by,
        "suggestion": rate,
        "reason": reason or None,
        "lowest": {"learning_rate": rates[lowest], "smoothed": float(means[lowest])},
        "diverged_at": diverged,
        "use": [] if rate is None else [f"{key}={rate:g}"],
        "curve": curve,
    }

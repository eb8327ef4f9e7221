"""One training run, new or resumed: from its request to its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dlrun.assembly.start import start
from dlrun.backends import training_module
from dlrun.config.groups import without_kept
from dlrun.config.instantiate import component_errors, partial
from dlrun.config.schema import Config
from dlrun.data.input_spec_json import spec_to_json
from dlrun.remote.mirror import mirroring
from dlrun.remote.places import shown_path
from dlrun.report.profile import profile_lines
from dlrun.runs.directory import PLOTS, RunDir
from dlrun.runs.result import LENGTHS, RunResult
from dlrun.runs.status import is_locked
from dlrun.system import process, ranks
from dlrun.system.files import whole_file
from dlrun.training import record
from dlrun.training.announcement import announce
from dlrun.training.request import RunRequest
from dlrun.training.resumption import Resumption

if TYPE_CHECKING:  # Keras is not imported before the backend is started
    from dlrun.loops.training import History
    from dlrun.training.assembled_run import AssembledRun
    from dlrun.training.hooks.restore import Restore
    from dlrun.training.tracking import TrackedTraining

log = logging.getLogger("dlrun")

Rows = list[dict[str, float]]
Seconds = dict[str, float]


def train_run(request: RunRequest) -> RunResult:
    """Train a run to its end, and evaluate its best epoch on the test split.

    Raises:
        DlrunError: With exit code 2 if nothing was started, 1 if the run failed.
        RunInterrupted: If a signal stopped the run; its record says so.
    """
    config = request.config
    with record.early_lines() as early:
        session = start(config, request.cache)
        # An earlier run of this process may have taken more.
        training_module(config.backend.name).reset_peak_device_bytes()
        # These import Keras, so only after its backend is started.
        from dlrun.training.assembled_run import assemble, connect

        run = assemble(request, session)
        # The data as read: its fingerprint does not tell what a task makes of it.
        new_record = record.new_record(request, run.model, session.data, run.device)
        restore = connect(run, request, new_record)
    # The config is proved right from here on.
    with _open_run(run, request, new_record, early) as (directory, tracked):
        seconds = {"startup": time.time() - request.started_at, "first_step": 0.0}
        with _profiled(run, directory, seconds):
            history = _train(run, request, restore, tracked, seconds)
            rows = _rows(history, request.resumption)
            best, test = _evaluate_best(
                run, config, directory, rows, seconds, trained=bool(history)
            )
        seconds["total"] = time.time() - request.started_at
        result = _result(directory, run, config, rows, best, test, seconds)
        _draw(run, directory, rows, best)
        # Recorded before the export, which the user's own model may not support.
        directory.update(**{**result.to_dict(), "status": "running"})
        _export(run, config, directory)
        directory.update(status="completed")
        tracked.complete(result)
    if request.cache and request.resumption is None:
        request.cache.keep(run.model, config, run.data)
    return result


@contextmanager
def _open_run(
    run: AssembledRun,
    request: RunRequest,
    new_record: Mapping[str, Any],
    early: Sequence[logging.LogRecord],
) -> Iterator[tuple[RunDir, TrackedTraining]]:
    """Create or open the run directory, record how the block ends, and say what is about to run."""
    from dlrun.training.tracking import tracking

    with (
        request.destination.open(
            {**new_record, "init_from": run.initial_weights}, spec_to_json(run.data.spec)
        ) as directory,
        mirroring(directory.path, is_locked),
        record.recording(directory, early),
        run.interruption.listen(),
        tracking(run.trackers, request.config, directory, run.length) as tracked,
    ):
        if (group := ranks.current()) and group.launcher:
            group.launcher.report("run", path=str(directory.path.absolute()))
        announce(directory, run, request.resumption)
        if run.pace:
            run.pace.record = lambda: directory.update(length=run.length.to_json())
        record.write_model(directory, run.model)
        yield directory, tracked


def _train(
    run: AssembledRun,
    request: RunRequest,
    restore: Restore,
    tracked: TrackedTraining,
    seconds: Seconds,
) -> History:
    """Train, and measure how long it takes; returns the logs of each epoch, by name."""
    from dlrun.training.loop import train

    with _time_phase(seconds, "train"):
        history = train(run, request, restore, tracked.hooks)
    seconds["first_step"] = run.timing.first_step_seconds
    return history


def _evaluate_best(
    run: AssembledRun,
    config: Config,
    directory: RunDir,
    rows: Rows,
    seconds: Seconds,
    *,
    trained: bool,
) -> tuple[int, dict[str, float]]:
    """Restore the best epoch; returns it, from 1, and its loss and metrics on the test split."""
    from dlrun.training.hooks.monitor_finite import require_finite

    require_finite(rows, run.monitor)
    with _time_phase(seconds, "evaluate"):
        best = _restore_best(run, directory, config, len(rows), trained=trained)
        return best, _evaluate(run, config, directory)


@contextmanager
def _time_phase(seconds: Seconds, phase: str) -> Iterator[None]:
    start_time = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - start_time


def _rows(history: History, resumption: Resumption | None) -> Rows:
    """The logs of each epoch, including those before a resumption."""
    rows = list(resumption.saved.state["history"]) if resumption else []
    names = list(history)
    for values in zip(*history.values(), strict=True):
        rows.append(dict(zip(names, values, strict=True)))
    return rows


def _restore_best(
    run: AssembledRun, directory: RunDir, config: Config, epochs: int, *, trained: bool
) -> int:
    """Load the weights of the best epoch; of the last one if no callback decides the best.

    Returns:
        The epoch, from 1.
    """
    from dlrun.checkpoints.weights import restore_weights

    if (stopped_by := _stopped_by(run, config, epochs)) not in LENGTHS:
        log.info("stopped after epoch %d by %s", epochs, stopped_by)
    decided = run.best_epoch()
    best = decided or epochs
    # Also for the last epoch: fit() may end with other weights, such as averages or those that a
    # callback restores, and a later evaluation loads the checkpoint's.
    if decided or not trained:
        restore_weights(run.model, directory.checkpoints, best)
        if best != epochs:
            log.info("restored epoch %d, the best by %s", best, run.monitor)
    return best


def _evaluate(run: AssembledRun, config: Config, directory: RunDir) -> dict[str, float]:
    """Loss and metrics on the test split; its figures are written to ``evaluation/``."""
    from dlrun.evaluation.figures import DIRECTORY, figures_of, write_all
    from dlrun.inference.collect import MOST_VALUES
    from dlrun.inference.evaluation import evaluate_outputs

    hooks = [run.interruption]
    found = evaluate_outputs(run.model, config, run.data, "test", run.feed, hooks, most=MOST_VALUES)
    for name, why in found.reasons.items():
        log.info("evaluation has no figures%s: %s", f" of {name}" if name else "", why)
    ids = run.data.test.ids
    figures = {name: figures_of(outcome, ids) for name, outcome in found.outcomes.items()}
    write_all(figures, directory.path / DIRECTORY)
    return found.metrics


@contextmanager
def _profiled(run: AssembledRun, directory: RunDir, seconds: Seconds) -> Iterator[None]:
    """Record and show where the time of the block went, also if a signal or an error ends it."""
    try:
        yield
    finally:
        if run.profile is not None:
            entries, lines = run.profile.result(seconds.get("evaluate"))
            directory.update(**entries)
            rows = profile_lines(directory.record) if "profile" in entries else []
            for line in (*lines, *rows):
                log.info("%s", line)


def _draw(run: AssembledRun, directory: RunDir, rows: Rows, best: int) -> None:
    """Write the curves of all epochs as ``plots/history.svg``."""
    from dlrun.report.history import history_svg

    if not rows:
        return
    (directory.path / PLOTS).mkdir(exist_ok=True)
    text = history_svg(rows, run.logged, best)
    path = directory.path / PLOTS / "history.svg"
    with whole_file(path):
        path.write_text(text, encoding="utf-8")


def _export(run: AssembledRun, config: Config, directory: RunDir) -> None:
    """Write the model in each format that the config asks for.

    Raises:
        DlrunError: If a format can't be written.
    """
    from dlrun.assembly.model import with_activation

    for name, spec in config.export.items():
        export = partial(f"export.{name}", without_kept("export", spec))
        predictor = with_activation(run.model, config, run.data.spec)
        with component_errors(f"export.{name}", spec["_target_"]):
            export(predictor, spec=run.data.spec, directory=directory.path)


def _result(
    directory: RunDir,
    run: AssembledRun,
    config: Config,
    rows: Rows,
    best: int,
    test: dict[str, float],
    seconds: Seconds,
) -> RunResult:
    names = [*run.logged, *(f"val_{name}" for name in run.logged)]
    logged = {name: rows[best - 1][name] for name in names if name in rows[best - 1]}
    return RunResult(
        run_dir=shown_path(directory.path),
        status="completed",
        backend=config.backend.name,
        model=config.choices.get("model"),
        loop=config.choices.get("loop"),
        epochs=len(rows),
        steps=run.length.steps_until(len(rows)),
        best_epoch=best,
        stopped_by=_stopped_by(run, config, len(rows)),
        parameters=directory.record["parameters"],
        train={n: v for n, v in logged.items() if not n.startswith("val_")},
        validation={n.removeprefix("val_"): v for n, v in logged.items() if n.startswith("val_")},
        test=test,
        seconds={phase: round(value, 4) for phase, value in seconds.items()}
        | {name: round(value, 7) for name, value in run.measured_seconds().items()},
        examples_per_second=round(run.timing.examples_per_second, 1),
        step_seconds=round(run.timing.step_seconds, 7),
        peak_memory_bytes=process.peak_memory_bytes(),
        device_memory_bytes=run.backend.peak_device_bytes(),
    )


def _stopped_by(run: AssembledRun, config: Config, epochs: int) -> str:
    """The name of the callback that ended training; ``epochs`` or ``max_steps`` if none did."""
    for name, callback in run.stopping_callbacks():
        if callback.get_stopped_epoch():
            return name
    if epochs < run.length.epochs:
        return "callback"
    by_steps = config.max_steps is not None and run.length.steps == config.max_steps
    return "max_steps" if by_steps else "epochs"

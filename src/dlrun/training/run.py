"""One run, new or resumed: build the parts, train, evaluate, and record what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.assembly.start import Session
from dlrun.checkpoints.store import START
from dlrun.config.limits import metric_names
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.runs.directory import RunDir
from dlrun.system import process
from dlrun.training import record
from dlrun.training.initial_weights import InitialWeights, assign_initial_weights
from dlrun.training.resumption import Resumption, restore_training_state

if TYPE_CHECKING:  # Keras is not imported before the backend is started
    from dlrun.data.dataset import Dataset
    from dlrun.training.reuse import ProcessCache

log = logging.getLogger("dlrun")


def train_run(
    config: Config,
    overrides: Sequence[str],
    started: Session,
    path: Path,
    begin: Callable[[dict[str, Any]], RunDir],
    *,
    weights: InitialWeights | None = None,
    behind: Resumption | None = None,
    watch: Callable[[dict[str, Any]], bool] | None = None,
    warm: ProcessCache | None = None,
) -> dict[str, Any]:
    """Train from where a run is to its end, and evaluate its best epoch on the test split.

    Args:
        config: Of the run.
        overrides: As typed.
        started: What has become of the config's backend, device and data.
        path: The run's directory.
        begin: From what ``run.json`` is to tell to the run's directory. Called once all
            parts are built, when nothing that was typed is left to be wrong.
        weights: What the model's variables begin with; None for what it draws.
        behind: None for a new run.
        watch: Called after each epoch, see :class:`dlrun.training.hooks.watch.EpochHook`.
        warm: In a process that stays for other runs.

    Returns:
        The result, as ``dlrun train --json`` prints it.

    Raises:
        DlrunError: With exit code 2 if nothing was started, with 1 if the run failed.
        Interrupted: If a signal stopped the run; its record says so.
    """
    from dlrun.assembly.compile import compile_model
    from dlrun.assembly.loop import build_callbacks, build_loop
    from dlrun.assembly.model import build_model
    from dlrun.checkpoints.weights import restore_weights
    from dlrun.data.batches import Batches
    from dlrun.exports.keras import export_keras
    from dlrun.inference.evaluation import evaluate_split
    from dlrun.training.hooks.finite import StopOnNonFinite
    from dlrun.training.hooks.interruption import Interruption
    from dlrun.training.hooks.restore import Restore
    from dlrun.training.hooks.timing import Timing
    from dlrun.training.hooks.watch import EpochHook

    data = started.data
    _require_monitored(config, data)
    model = build_model(config, data.spec)
    taken = assign_initial_weights(model, weights) if weights else None
    compile_model(model, config, training=True)
    reuses = warm if behind is None else None  # what is behind a run may not be in variables alone
    model = reuses.renewed(model, config, data) if reuses else model
    loop = build_loop(config, started.feed, behind.at if behind else START)
    callbacks = build_callbacks(config, path)
    watching = {"pruning": EpochHook(watch)} if watch else {}
    timing, interruption = Timing(len(data.train)), Interruption()

    told = record.new_record(config, overrides, model, data, started.device)
    written_by = {key: told[key] for key in ("versions", "cores", "backend", "device")}
    for callback in callbacks.values():
        if hasattr(callback, "set_run"):
            callback.set_run(
                data=data, written_by=written_by, callbacks=callbacks, backend=started.backend
            )
    resumed = (
        restore_training_state(model, callbacks, started.backend, behind)
        if behind
        else Restore({}, {}, {})
    )
    directory = begin(told | {"init_from": taken})

    with record.recording(directory), interruption.listening():
        _announce(directory, data, behind)
        if behind and (why := record.why_not_exact(behind.saved.written_by, written_by)):
            log.warning("not to the bit what it would have been: %s", why)
        seconds = {"startup": time.time() - process.started_at(), "first_step": 0.0}
        hooks = [*_in_order(callbacks), resumed]
        with _timed(seconds, "train"), _closed(callbacks.values()):
            if behind and (behind.stopped or behind.at.epochs >= config.epochs):
                history = _end_at_once(model, hooks)
            else:
                history = loop(
                    model=model,
                    train=Batches(data, data.train, config.batch_size, seed=config.seed),
                    validation=Batches(data, data.validation, config.batch_size)
                    if len(data.validation)
                    else None,
                    epochs=config.epochs,
                    seed=config.seed,
                    callbacks=[interruption, timing, StopOnNonFinite(), *watching.values(), *hooks],
                    backend=started.backend,
                )
        seconds["first_step"] = timing.first_step_seconds

        rows = _rows(history, behind)
        stopped_by = _stopped_by(config, len(rows), {**callbacks, **watching})
        best = _best_epoch(callbacks) or len(rows)
        if stopped_by != "epochs":
            log.info("stopped after epoch %d by %s", len(rows), stopped_by)
        with _timed(seconds, "evaluate"):
            # Of the last epoch too: the end of fit() may leave other weights, as averages or those
            # that a callback restores, and evaluation finds the checkpoint's.
            if _best_epoch(callbacks) or not history:
                restore_weights(model, directory.checkpoints, best)
                _tell_best(best, len(rows), config)
            test = evaluate_split(model, config, data, "test", [interruption])
        seconds["total"] = time.time() - process.started_at()

        result = {
            "run_dir": str(directory.path),
            "status": "completed",
            "backend": config.backend.name,
            "model": config.choices.get("model"),
            "loop": config.choices.get("loop"),
            "epochs": len(rows),
            "best_epoch": best,
            "stopped_by": stopped_by,
            "parameters": told["parameters"],
            **_splits(config, rows[best - 1]),
            "test": test,
            "seconds": {phase: round(value, 4) for phase, value in seconds.items()},
            "examples_per_second": round(timing.examples_per_second, 1),
            "step_seconds": round(timing.step_seconds, 7),
            "peak_memory_bytes": process.peak_memory_bytes(),
        }
        # Recorded before the export, which a model of the user's own may not support.
        directory.update(**{**result, "status": "running"})
        if config.export_keras:
            export_keras(model, config, data.spec, directory.path / "model.keras")
        directory.update(status="completed")
    if reuses:
        reuses.keep(model, config, data)
    return result


def _require_monitored(config: Config, data: Dataset) -> None:
    monitor = config.task.monitor
    if monitor.startswith("val_") and not len(data.validation):
        raise DlrunError(
            f"task.monitor={monitor}: the data set has no validation split",
            hint=f"task.monitor={monitor.removeprefix('val_')}",
        )


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - began


@contextmanager
def _closed(callbacks: Iterable[Any]) -> Iterator[None]:
    """Let callbacks close their files, however training ends."""
    try:
        yield
    finally:
        for callback in callbacks:
            if hasattr(callback, "close"):
                callback.close()


def _end_at_once(model: Any, callbacks: Sequence[Any]) -> dict[str, list[float]]:
    """Let callbacks do what they do when training ends, as they draw; no epoch is left."""
    import keras

    hooks = keras.callbacks.CallbackList(callbacks, model=model)
    hooks.on_train_begin()
    hooks.on_train_end()
    return {}


def _in_order(callbacks: Mapping[str, Any]) -> list[Any]:
    """The checkpoint last: it saves what the others have decided."""
    from dlrun.callbacks.checkpoint import Checkpoint

    return sorted(callbacks.values(), key=lambda callback: isinstance(callback, Checkpoint))


def _rows(
    history: Mapping[str, Sequence[float]], behind: Resumption | None
) -> list[dict[str, float]]:
    """What each epoch logged, those before a resumption included."""
    rows = list(behind.saved.state["history"]) if behind else []
    names = list(history)
    for values in zip(*history.values(), strict=True):
        rows.append(dict(zip(names, values, strict=True)))
    return rows


def _splits(config: Config, logged: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The training and validation metrics that an epoch logged."""
    row = {name: logged[name] for name in metric_names(config) if name in logged}
    return {
        "train": {n: v for n, v in row.items() if not n.startswith("val_")},
        "validation": {n.removeprefix("val_"): v for n, v in row.items() if n.startswith("val_")},
    }


def _announce(directory: RunDir, data: Dataset, behind: Resumption | None) -> None:
    told = directory.record
    log.info("run    %s", directory.path)
    log.info(
        "model  %s, %s parameters   backend %s %s on %s, %d cores   loop %s",
        told["model"],
        f"{told['parameters']:,}",
        told["backend"],
        told["versions"][told["backend"]],
        told["device"],
        told["cores"],
        told["loop"],
    )
    sizes = [f"{len(getattr(data, s)):,} {s}" for s in ("train", "validation", "test")]
    log.info("data   %s, %s", told["data"], ", ".join(sizes))
    if taken := told["init_from"]:
        of = taken["variables"] + len(taken["left"])
        log.info(
            "init   %d of %d variables from %s, epoch %d",
            *(taken["variables"], of, taken["run_dir"], taken["epoch"]),
        )
    if behind:
        log.info("resume after %s", behind.at)


def _stopped_by(config: Config, epochs: int, callbacks: Mapping[str, Any]) -> str:
    for name, callback in callbacks.items():
        if getattr(callback, "stopped_epoch", 0):
            return name
    return "epochs" if epochs >= config.epochs else "callback"


def _tell_best(best: int, last: int, config: Config) -> None:
    if best != last:
        log.info("restored epoch %d, the best by %s", best, config.task.monitor)


def _best_epoch(callbacks: Mapping[str, Any]) -> int | None:
    bests = [getattr(callback, "best", None) for callback in callbacks.values()]
    return next((int(best["epoch"]) for best in bests if isinstance(best, dict)), None)

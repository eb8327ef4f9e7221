"""One training run, new or resumed: from its request to its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dlrun.assembly.require import without_kept
from dlrun.assembly.start import start
from dlrun.config.instantiate import component_errors, partial
from dlrun.config.limits import metric_names
from dlrun.config.schema import Config
from dlrun.runs.directory import RunDir
from dlrun.runs.result import RunResult
from dlrun.system import process
from dlrun.training import record
from dlrun.training.request import RunRequest
from dlrun.training.resumption import Resumption

if TYPE_CHECKING:  # Keras is not imported before the backend is started
    from dlrun.loops.training import History
    from dlrun.training.parts import Parts

log = logging.getLogger("dlrun")

Rows = list[dict[str, float]]
Seconds = dict[str, float]


def train_run(request: RunRequest) -> RunResult:
    """Train from where a run is to its end, and evaluate its best epoch on the test split.

    Raises:
        DlrunError: With exit code 2 if nothing was started, with 1 if the run failed.
        Interrupted: If a signal stopped the run; its record says so.
    """
    config = request.config
    session = start(config, request.cache)
    from dlrun.training.parts import assemble, connect, train  # with Keras, now on its backend

    parts = assemble(request, session)
    new_record = record.new_record(request, parts.model, parts.data, parts.device)
    restore = connect(parts, request, new_record)
    # Nothing that was typed can be wrong from here on.
    with (
        request.place.opened(
            new_record | {"init_from": parts.initial_weights}, parts.data.spec.to_json()
        ) as directory,
        record.recording(directory),
        parts.interruption.listening(),
    ):
        _announce(directory, parts, request.resumption)
        seconds = {"startup": time.time() - request.started_at, "first_step": 0.0}
        with _timed(seconds, "train"):
            history = train(parts, request, restore)
        seconds["first_step"] = parts.timing.first_step_seconds
        rows = _rows(history, request.resumption)
        with _timed(seconds, "evaluate"):
            best = _restore_best(parts, directory, config, len(rows), trained=bool(history))
            test = _evaluate(parts, config)
        seconds["total"] = time.time() - request.started_at
        result = _result(directory, parts, config, rows, best, test, seconds)
        # Recorded before the export, which a model of the user's own may not support.
        directory.update(**{**result.to_dict(), "status": "running"})
        _export(parts, config, directory)
        directory.update(status="completed")
    if request.cache and request.resumption is None:
        request.cache.keep(parts.model, config, parts.data)
    return result


@contextmanager
def _timed(seconds: Seconds, phase: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - began


def _rows(history: History, resumption: Resumption | None) -> Rows:
    """What each epoch logged, those before a resumption included."""
    rows = list(resumption.saved.state["history"]) if resumption else []
    names = list(history)
    for values in zip(*history.values(), strict=True):
        rows.append(dict(zip(names, values, strict=True)))
    return rows


def _restore_best(
    parts: Parts, directory: RunDir, config: Config, epochs: int, *, trained: bool
) -> int:
    """Load the weights of the best epoch; the last one's where no callback decides which it is.

    Returns:
        The epoch, from 1.
    """
    from dlrun.checkpoints.weights import restore_weights

    if (stopped_by := _stopped_by(parts, config, epochs)) != "epochs":
        log.info("stopped after epoch %d by %s", epochs, stopped_by)
    decided = parts.best_epoch()
    best = decided or epochs
    # Of the last epoch too: the end of fit() may leave other weights, as averages or those that a
    # callback restores, and evaluation finds the checkpoint's.
    if decided or not trained:
        restore_weights(parts.model, directory.checkpoints, best)
        if best != epochs:
            log.info("restored epoch %d, the best by %s", best, config.task.monitor)
    return best


def _evaluate(parts: Parts, config: Config) -> dict[str, float]:
    """Loss and metrics on the test split."""
    from dlrun.inference.evaluation import evaluate_split

    return evaluate_split(parts.model, config, parts.data, "test", parts.feed, [parts.interruption])


def _export(parts: Parts, config: Config, directory: RunDir) -> None:
    """Write the model in each format that the config asks for.

    Raises:
        DlrunError: With exit code 1 if a format can't be written.
    """
    from dlrun.assembly.model import with_activation

    for name, spec in config.export.items():
        export = partial(f"export.{name}", without_kept("export", spec))
        predictor = with_activation(parts.model, config, parts.data.spec)
        with component_errors(f"export.{name}", spec["_target_"]):
            export(predictor, spec=parts.data.spec, directory=directory.path)


def _result(
    directory: RunDir,
    parts: Parts,
    config: Config,
    rows: Rows,
    best: int,
    test: dict[str, float],
    seconds: Seconds,
) -> RunResult:
    logged = {name: rows[best - 1][name] for name in metric_names(config) if name in rows[best - 1]}
    return RunResult(
        run_dir=str(directory.path),
        status="completed",
        backend=config.backend.name,
        model=config.choices.get("model"),
        loop=config.choices.get("loop"),
        epochs=len(rows),
        best_epoch=best,
        stopped_by=_stopped_by(parts, config, len(rows)),
        parameters=directory.record["parameters"],
        train={n: v for n, v in logged.items() if not n.startswith("val_")},
        validation={n.removeprefix("val_"): v for n, v in logged.items() if n.startswith("val_")},
        test=test,
        seconds={phase: round(value, 4) for phase, value in seconds.items()},
        examples_per_second=round(parts.timing.examples_per_second, 1),
        step_seconds=round(parts.timing.step_seconds, 7),
        peak_memory_bytes=process.peak_memory_bytes(),
    )


def _announce(directory: RunDir, parts: Parts, resumption: Resumption | None) -> None:
    """Say what is about to run."""
    about, data = directory.record, parts.data
    log.info("run    %s", directory.path)
    log.info(
        "model  %s, %s parameters   backend %s %s on %s, %d cores   loop %s",
        about["model"],
        f"{about['parameters']:,}",
        about["backend"],
        about["versions"][about["backend"]],
        about["device"],
        about["cores"],
        about["loop"],
    )
    sizes = [f"{len(getattr(data, s)):,} {s}" for s in ("train", "validation", "test")]
    log.info("data   %s, %s", about["data"], ", ".join(sizes))
    if taken := about["init_from"]:
        count = taken["variables"]
        of = count + len(taken["left"])
        log.info(
            "init   %d of %d variables from %s, epoch %d",
            *(count, of, taken["run_dir"], taken["epoch"]),
        )
    if resumption:
        log.info("resume after %s", resumption.at)
        if why := record.why_not_exact(resumption.saved.written_by, record.written_by(about)):
            log.warning("not to the bit what it would have been: %s", why)


def _stopped_by(parts: Parts, config: Config, epochs: int) -> str:
    """The name of the callback that ended training, or ``epochs``."""
    for name, callback in parts.stopping():
        if callback.get_stopped_epoch():
            return name
    return "epochs" if epochs >= config.epochs else "callback"

"""``dlrun train``: one run, from what the user typed to the result."""

from __future__ import annotations

import functools
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from platform import node, python_version
from typing import TYPE_CHECKING, Any

from dlrun import __version__, backends, feeds, init_from, process, run_dir
from dlrun.config.compose import compose, to_yaml
from dlrun.config.instantiate import partial
from dlrun.config.schema import Config, metric_names
from dlrun.data.tree import tree_map
from dlrun.errors import DlrunError, Interrupted, first_line
from dlrun.start import start

if TYPE_CHECKING:  # NumPy is not needed to tell that the config is wrong
    from dlrun.data.dataset import Dataset

log = logging.getLogger("dlrun")


def train(
    overrides: Sequence[str],
    *,
    config_dir: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train, keep the best epoch, and evaluate it on the test split.

    Args:
        overrides: As typed after ``dlrun train``.
        config_dir: The user's own options.
        quiet: Leave out the progress.

    Returns:
        The result, as ``dlrun train --json`` prints it.

    Raises:
        DlrunError: With exit code 2 if nothing was started, with 1 if the run failed.
        Interrupted: If a signal stopped the run; its record says so.
    """
    config = compose(overrides, config_dir=config_dir)
    if quiet:
        config.callbacks.pop("progress", None)
    backends.require(
        config.backend.name, training=True, compile=str(config.loop.get("compile", "auto"))
    )
    feeds.require(config.feed)
    weights = init_from.read(config)

    with ThreadPoolExecutor(max_workers=1) as pool:
        asking = pool.submit(_git_state)
        backend, device, data, feed = start(config, config.feed)
        git = asking.result()
    if config.task.monitor.startswith("val_") and not len(data.validation):
        raise DlrunError(
            f"task.monitor={config.task.monitor}: the data set has no validation split",
            hint=f"task.monitor={config.task.monitor.removeprefix('val_')}",
        )

    # What needs Keras can be imported now.
    from dlrun.build import build_callbacks, build_model, compile_model
    from dlrun.callbacks.finite import Finite
    from dlrun.callbacks.interruption import Interruption
    from dlrun.callbacks.timing import Timing
    from dlrun.data.batches import Batches
    from dlrun.trained import evaluate_split, export_keras, restore

    model = build_model(config, data)
    taken = init_from.assign(model, weights) if weights else None
    compile_model(model, config, training=True)
    loop = _loop(config, feed)
    path = run_dir.planned(Path(config.runs_dir), str(config.name))
    callbacks = build_callbacks(config, path)
    timing, interruption = Timing(len(data.train)), Interruption()

    record = _record(config, overrides, model, data, device)
    written_by = {"versions": record["versions"], "cores": record["cores"]}
    for callback in callbacks.values():
        if hasattr(callback, "set_run"):
            callback.set_run(data=data, written_by=written_by, callbacks=callbacks)

    # All parts are built: nothing that was typed is left to be wrong.
    record |= {"init_from": taken, "git": git}
    run = run_dir.create(
        path,
        record,
        {
            run_dir.CONFIG: to_yaml(config),
            run_dir.OVERRIDES: "".join(f"- {_quoted(override)}\n" for override in overrides),
        },
    )

    with _recorded(run), interruption.listening():
        _announce(run, data)
        seconds = {"startup": time.time() - process.started_at()}
        began = time.perf_counter()
        try:
            history = loop(
                model=model,
                train=Batches(data, data.train, config.batch_size, seed=config.seed),
                validation=Batches(data, data.validation, config.batch_size)
                if len(data.validation)
                else None,
                epochs=config.epochs,
                seed=config.seed,
                callbacks=[interruption, timing, Finite(), *callbacks.values()],
                backend=backend,
            )
        finally:
            for callback in callbacks.values():
                if hasattr(callback, "close"):
                    callback.close()
        seconds |= {"first_step": timing.first_step_seconds, "train": time.perf_counter() - began}

        epochs = len(history["loss"])
        stopped_by = _stopped_by(config, history, callbacks)
        best = _best_epoch(callbacks) or epochs
        if stopped_by != "epochs":
            log.info("stopped after epoch %d by %s", epochs, stopped_by)
        began = time.perf_counter()
        if best != epochs:
            restore(model, run.checkpoints, best)
            log.info("restored epoch %d, the best by %s", best, config.task.monitor)
        test = evaluate_split(model, config, data, "test", [interruption])
        seconds["evaluate"] = time.perf_counter() - began
        seconds["total"] = time.time() - process.started_at()

        result = {
            "run_dir": str(run.path),
            "status": "completed",
            "backend": config.backend.name,
            "model": config.choices.get("model"),
            "loop": config.choices.get("loop"),
            "epochs": epochs,
            "best_epoch": best,
            "stopped_by": stopped_by,
            "parameters": record["parameters"],
            **_splits(config, history, best),
            "test": test,
            "seconds": {phase: round(value, 4) for phase, value in seconds.items()},
            "examples_per_second": round(timing.examples_per_second, 1),
            "peak_memory_bytes": process.peak_memory_bytes(),
        }
        # Recorded before the export, which a model of the user's own may not support.
        run.update(**{**result, "status": "running"})
        if config.export_keras:
            export_keras(model, config, data, run.path / "model.keras")
        run.update(status="completed")
    return result


def _loop(config: Config, feed: feeds.Feed) -> Callable[..., Any]:
    """The loop; one that takes no feed gathers the batches itself."""
    loop = partial("loop", config.loop)
    takes = signature(loop).parameters.values()
    fed = any(taken.name == "feed" or taken.kind == taken.VAR_KEYWORD for taken in takes)
    return functools.partial(loop, feed=feed) if fed else loop


def _record(
    config: Config, overrides: Sequence[str], model: Any, data: Dataset, device: str
) -> dict[str, Any]:
    """What ``run.json`` says of a run that starts."""
    versions = {"python": python_version(), "dlrun": __version__}
    return {
        "status": "running",
        "command": ["dlrun", *sys.argv[1:]],
        "overrides": list(overrides),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(process.started_at())),
        "versions": versions | backends.keras_versions(config.backend.name),
        "seed": config.seed,
        "backend": config.backend.name,
        "device": device,
        "precision": config.precision,
        "host": node(),
        "cores": process.cores(),
        **{group: config.choices.get(group) for group in ("model", "data", "task", "loop")},
        "input_shape": tree_map(list, data.input_shape),
        "parameters": model.count_params(),
    }


def _splits(
    config: Config, history: Mapping[str, Sequence[float]], epoch: int
) -> dict[str, dict[str, float]]:
    """The training and validation metrics that an epoch, from 1, logged."""
    row = {n: history[n][epoch - 1] for n in metric_names(config) if n in history}
    return {
        "train": {n: v for n, v in row.items() if not n.startswith("val_")},
        "validation": {n.removeprefix("val_"): v for n, v in row.items() if n.startswith("val_")},
    }


@contextmanager
def _recorded(run: run_dir.RunDir) -> Iterator[None]:
    """Keep the log beside the run, and write how it ended into its record."""
    file = logging.FileHandler(run.path / run_dir.LOG, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(file)
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        _note(run, status="interrupted", stopped_by=f"signal {getattr(stop, 'signum', 2)}")
        log.warning("interrupted; %s keeps the checkpoint of the last whole epoch", run.path)
        raise
    except DlrunError as error:
        _note(run, status="failed", error=error.message)
        error.exit_code = 1
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {first_line(error)}"
        _note(run, status="failed", error=told, traceback=traceback.format_exc())
        raise DlrunError(
            f"the run failed: {told}",
            hint=f"the traceback is in {run.path / run_dir.RECORD}",
            exit_code=1,
        ) from error
    finally:
        log.removeHandler(file)
        file.close()


def _note(run: run_dir.RunDir, **fields: Any) -> None:
    """Record how a run ended; a disk that takes no record must not hide why."""
    try:
        run.update(**fields)
    except OSError as error:
        log.warning("%s can't be written: %s", run.path / run_dir.RECORD, error.strerror)


def _announce(run: run_dir.RunDir, data: Dataset) -> None:
    record = run.record
    log.info("run    %s", run.path)
    log.info(
        "model  %s, %s parameters   backend %s %s on %s, %d cores   loop %s",
        record["model"],
        f"{record['parameters']:,}",
        record["backend"],
        record["versions"][record["backend"]],
        record["device"],
        record["cores"],
        record["loop"],
    )
    sizes = [f"{len(getattr(data, s)):,} {s}" for s in ("train", "validation", "test")]
    log.info("data   %s, %s", record["data"], ", ".join(sizes))
    if taken := record["init_from"]:
        of = taken["variables"] + len(taken["left"])
        told = (taken["variables"], of, taken["run_dir"], taken["epoch"])
        log.info("init   %d of %d variables from %s, epoch %d", *told)


def _stopped_by(
    config: Config, history: Mapping[str, Sequence[float]], callbacks: Mapping[str, Any]
) -> str:
    for name, callback in callbacks.items():
        if getattr(callback, "stopped_epoch", 0):
            return name
    return "epochs" if len(history["loss"]) == config.epochs else "callback"


def _best_epoch(callbacks: Mapping[str, Any]) -> int | None:
    bests = [getattr(callback, "best", None) for callback in callbacks.values()]
    return next((int(best["epoch"]) for best in bests if isinstance(best, dict)), None)


def _git_state() -> dict[str, Any]:
    """The commit of the working directory and whether files differ from it; nulls without git."""
    state: dict[str, Any] = {"commit": None, "dirty": None}
    try:
        for key, command in (
            ("commit", ["git", "rev-parse", "HEAD"]),
            ("dirty", ["git", "status", "--porcelain", "--untracked-files=no"]),
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            state[key] = done.stdout.strip() if key == "commit" else bool(done.stdout.strip())
    except (OSError, subprocess.SubprocessError):
        pass
    return state


def _quoted(override: str) -> str:
    # A YAML string in single quotes, where only the quote itself is special.
    return "'" + override.replace("'", "''") + "'"

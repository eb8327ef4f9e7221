"""One call of the Python API, in a process of the user's: nothing that it changes outlasts it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import Any

from dlrun.errors import DlrunError, RunInterrupted, cut_message, first_line
from dlrun.system import process
from dlrun.system.guest import as_guest, in_notebook

log = logging.getLogger("dlrun")


@contextmanager
def guest_call(*, config_dir: Path | None = None, quiet: bool = False) -> Iterator[None]:
    """Run a call as a guest: as a process of its own would, and leaving nothing behind.

    Environment, search path, generators of random numbers, dtype policy, log handlers and the
    targets that a config may name are as before at the end. Modules of the user's that have changed
    are imported again.

    Args:
        config_dir: The user's own options.
        quiet: Show no progress.

    Raises:
        DlrunError: As the call does; also for a file that can't be used.
        KeyboardInterrupt: If SIGINT stopped a run; its record says so, and it can be resumed.
    """
    from dlrun.config.approvals import separate_approvals
    from dlrun.config.options import module_dirs
    from dlrun.system.own_modules import forget_changed_modules

    try:
        with as_guest(), separate_approvals(), _policy(), _fed_by_call(), _lines(quiet):
            if changed := forget_changed_modules(module_dirs(config_dir)):
                log.info("imported again, as %s changed", ", ".join(changed))
            yield
    except RunInterrupted as stop:
        if stop.signum == SIGINT:
            raise KeyboardInterrupt("the run was interrupted, and can be resumed") from stop
        os.kill(os.getpid(), stop.signum)  # what the signal would have done without dlrun
        raise
    except OSError as error:
        name = f"can't use {error.filename}: " if error.filename else ""
        raise DlrunError(f"{name}{error.strerror or first_line(error)}", exit_code=1) from error
    finally:
        process.give_back_memory()


def check_overrides(overrides: Sequence[Any]) -> list[str]:
    """The overrides as a list.

    Raises:
        DlrunError: If one is not a text.
    """
    for override in overrides:
        if not isinstance(override, str):
            raise DlrunError(
                f"expected overrides as texts, got {cut_message(repr(override))}",
                hint="for example 'backend=jax', 'epochs=3'; a list is passed as *overrides",
            )
    return list(overrides)


def on_this_backend(overrides: Sequence[Any], *, or_environment: bool = False) -> list[str]:
    """The overrides, with the backend of this process first unless they choose one.

    Args:
        overrides: As typed.
        or_environment: Whether ``KERAS_BACKEND`` decides where this process has started none.

    Raises:
        DlrunError: If an override is not a text.
    """
    from dlrun.backends import running
    from dlrun.config.compose import overrides_part

    typed, backend = check_overrides(overrides), running()
    if or_environment:
        backend = backend or os.environ.get("KERAS_BACKEND")
    if not backend or overrides_part(typed, "backend"):
        return typed
    return [f"backend={backend}", *typed]


@contextmanager
def _policy() -> Iterator[None]:
    """Restore the dtype policy of Keras, which a run sets."""
    before = _keras_config().dtype_policy() if _keras_config() else None
    try:
        yield
    finally:
        if config := _keras_config():
            config.set_dtype_policy(before or config.floatx())


def _keras_config() -> Any:
    return getattr(sys.modules.get("keras"), "config", None)


@contextmanager
def _fed_by_call() -> Iterator[None]:
    """Let TensorFlow forget the functions that fed this call, each with its data set."""
    kept = len(_feeding_functions())
    try:
        yield
    finally:
        del _feeding_functions()[kept:]


def _feeding_functions() -> list[Any]:
    v1 = getattr(getattr(sys.modules.get("tensorflow"), "compat", None), "v1", None)
    graph = v1.get_default_graph() if v1 else None
    found: list[Any] = getattr(graph, "_py_funcs_used_in_graph", [])
    return found


@contextmanager
def _lines(quiet: bool) -> Iterator[None]:
    """Show the log of the call, unless the user's own logging does."""
    level, propagate = log.level, log.propagate
    shown = log.hasHandlers() and log.getEffectiveLevel() <= logging.INFO
    handler: logging.Handler = logging.NullHandler()
    if not shown:
        # In a notebook, lines on stderr look like errors.
        handler = logging.StreamHandler(sys.stdout if in_notebook() else sys.stderr)
        handler.setLevel(logging.WARNING if quiet else logging.INFO)
        handler.setFormatter(_BoundedFormatter())
        log.propagate = False
    log.setLevel(min(log.getEffectiveLevel(), logging.INFO))  # also for the file of a run
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


class _BoundedFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return cut_message(super().format(record))

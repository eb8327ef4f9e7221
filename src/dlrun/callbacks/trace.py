"""A trace of some steps: each operation, and what waits for what."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.loops.hooks import numbers

log = logging.getLogger("dlrun")

DIRECTORY = "trace"
FILE = "trace.json.gz"


class Trace(keras.callbacks.Callback):
    """Records some steps of training with the backend's own profiler, once in a run.

    Writes ``trace/trace.json.gz`` in the run directory, in Chrome's format, for Perfetto; on jax
    and tensorflow also ``trace/plugins/profile``, for TensorBoard. Steps that one call runs are one
    event. What lies between the steps is recorded too, such as validation.

    Args:
        skip: Steps before the trace begins; a run with fewer of them has no trace.
        steps: Steps to record; fewer if training ends.

    Raises:
        DlrunError: If one of them is out of its range.
    """

    async_safe = True  # it changes nothing, so steps need not wait for it
    takes_tensors = True

    def __init__(self, *, skip: int = 10, steps: int = 20) -> None:
        super().__init__()
        for name, value, least in (("skip", skip, 0), ("steps", steps, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DlrunError(
                    f"profile.{name}={value}: expected an integer of at least {least}",
                    hint=f"profile.{name}={max(least, 10)}",
                )
        self._skip, self._steps = skip, steps
        self._tracer: Any = None
        self._path = Path()
        self._open: AbstractContextManager[Any] | None = None
        self._is_on = self._is_over = False
        self._trained = 0  # steps of this process, without those of the current call
        self._before = 0  # steps of the run before the current epoch
        self._first: int | None = None  # of the current call, in the epoch
        self._last = -1
        self._traced: list[int] = []  # the first step of each event, from 1
        self._until = 0
        self._logs: Mapping[str, Any] | None = None

    def watch(self, *, backend: Any, directory: Path, **_: Any) -> None:
        """Take the backend, whose profiler records, and the run directory."""
        self._path = directory / DIRECTORY / FILE
        self._tracer = backend.tracer(self._path.parent)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Count the steps of the epochs before."""
        self._before = epoch * int((self.params or {}).get("steps") or 0)
        self._first, self._last = None, -1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Begin with the trace, or its next step; end it after enough of them."""
        self._end_step()
        self._trained += 0 if self._first is None else batch - self._first
        self._first = batch
        if self._is_over or self._trained < self._skip:
            return
        if not self._is_on:
            numbers(self._logs)  # the steps before are computed
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._tracer.start()
            self._is_on = True
        self._traced.append(self._before + batch + 1)
        self._open = self._tracer.step(self._before + batch + 1)
        self._open.__enter__()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remember what to wait for."""
        self._last, self._logs = batch, logs

    def on_test_begin(self, logs: Any = None) -> None:
        """End the step before validation."""
        self._end_step()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """End the last step of the epoch."""
        self._end_step()
        if self._first is not None:
            self._trained += max(self._last, self._first) + 1 - self._first

    def on_train_end(self, logs: Any = None) -> None:
        """End the trace if training had fewer steps."""
        self.close()
        if not self._traced:
            log.warning(
                "trace  nothing was recorded: training had %d steps, and profile.skip is %d",
                *(self._trained, self._skip),
            )

    def close(self) -> None:
        """End the trace; also called when training ends with an error."""
        if self._is_on:
            self._end_step()
        if self._is_on:
            self._stop()

    def _end_step(self) -> None:
        if self._open is None:
            return
        done = self._before + max(self._last, self._first or 0) + 1
        if is_last := done - self._traced[0] + 1 >= self._steps:
            numbers(self._logs)  # else it ends before the last steps are computed
        self._open.__exit__(None, None, None)
        self._open = None
        self._until = done
        if is_last:
            self._stop()

    def _stop(self) -> None:
        self._is_on, self._is_over = False, True
        self._tracer.stop(self._path)

    def result(self, evaluation_seconds: float | None) -> tuple[dict[str, Any], list[str]]:
        """What ``run.json`` says of it, and lines for the log."""
        del evaluation_seconds
        if not self._traced:
            return {}, []
        first = self._traced[0]
        file = f"{DIRECTORY}/{FILE}"
        record = {"file": file, "first_step": first, "last_step": self._until}
        line = f"trace  steps {first} to {self._until}: {self._path}, for https://ui.perfetto.dev"
        return {"trace": record}, [line]

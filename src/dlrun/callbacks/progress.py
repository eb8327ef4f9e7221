"""Show the progress of training."""

import logging
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from dlrun.callbacks.notebook_bar import NotebookBar
from dlrun.callbacks.protocol import RunCallback
from dlrun.callbacks.terminal_bar import TerminalBar
from dlrun.loops.hooks import is_ready, numbers
from dlrun.runs.logged_names import for_people
from dlrun.runs.metric_direction import is_better
from dlrun.system.guest import in_notebook

log = logging.getLogger("dlrun")

REFRESH_SECONDS = 0.1  # not more often: reading the loss waits for the device
AHEAD = 64  # more steps than jax takes ahead


class Progress(RunCallback):
    """One line per epoch; on a terminal and in a notebook also a bar while the epoch runs.

    Args:
        monitor: The logged value that decides the best epoch.
        mode: ``min`` or ``max``.
        bar: Whether to draw a bar; None draws one on a terminal and in a notebook.
    """

    async_safe = True  # the bar changes nothing, so jax need not wait for it
    takes_tensors = True

    def __init__(
        self, monitor: str = "val_loss", mode: str = "min", *, bar: bool | None = None
    ) -> None:
        super().__init__()
        self._monitor = monitor
        self._mode = mode
        self._data: Any = None
        self._backend: Any = None
        self._samples = 0  # of the current epoch
        self._show_bar = sys.stderr.isatty() or in_notebook() if bar is None else bar
        self._best: float | None = None
        self._bar: Any = None
        self._refreshed = self._started = self._train_seconds = 0.0
        # On jax, steps are ahead of what is computed: the bar shows the newest that is.
        self._newest: deque[tuple[int, Any]] = deque(maxlen=AHEAD)

    def set_run(self, *, data: Any, backend: Any, **_: Any) -> None:
        """Take the data set, for the samples of each epoch, and the backend, for its memory."""
        self._data, self._backend = data, backend

    def get_state(self) -> dict[str, Any]:
        """The best value so far, for a checkpoint."""
        return {"best": self._best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the best value from a checkpoint."""
        self._best = state["best"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start timing, and the bar."""
        self._started, self._train_seconds = time.perf_counter(), 0.0
        self._newest.clear()
        self._samples = self._data.samples_of(epoch) if self._data else 0
        if self._show_bar:
            self._bar = _bar(f"epoch  {self._number(epoch)}", self.params["steps"])

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Update the bar."""
        if (bar := self._bar) is None:
            return
        self._newest.append((batch + 1, logs))
        now = time.perf_counter()
        if now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        done, ready = next(filter(_is_computed, reversed(self._newest)), (0, None))
        if ready is not None:
            rate = self._samples * done / self.params["steps"] / (now - self._started)
            bar.update(done, f"{_format_logs(numbers(ready))}  {rate:,.0f} examples/s")

    def on_test_begin(self, logs: Any = None) -> None:
        """Stop timing: the rest of the epoch is validation."""
        self._train_seconds = self._train_seconds or time.perf_counter() - self._started

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log one line."""
        self.close()
        seconds = time.perf_counter() - self._started
        rate = self._samples / (self._train_seconds or seconds)
        value = float((logs or {}).get(self._monitor, float("nan")))
        best = is_better(value, self._best, self._mode)
        if best:
            self._best = value
        log.info(
            "epoch  %s  %s%s  %.1f s  %s examples/s%s%s",
            self._number(epoch),
            self._steps_until(epoch + 1),
            _format_logs(logs),
            seconds,
            f"{rate:,.0f}",
            self._on_device(),
            "  best" if best else "",
        )

    def _number(self, epoch: int) -> str:
        """The number of an epoch, and how many there are if that is known."""
        length = self._data.length if self._data else None
        if length is None:
            return f"{epoch + 1}/{self.params['epochs']}"
        return f"{epoch + 1}/{length.epochs}" if length.is_known else f"{epoch + 1}"

    def _steps_until(self, epochs: int) -> str:
        """The steps so far, where the epochs do not tell how much of the data they are."""
        length = self._data.length if self._data else None
        if length is None or length.is_usual:
            return ""
        return f"step {length.steps_until(epochs):,}/{length.steps:,}  "

    def _on_device(self) -> str:
        """The memory on a GPU or TPU; tools of the system show what a framework has reserved."""
        size = self._backend.peak_device_bytes() if self._backend else None
        return "" if size is None else f"  {size / 1e6:,.0f} MB on the device"

    def close(self) -> None:
        """Remove the bar; also called when training ends with an error."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()


def _is_computed(newest: tuple[int, Mapping[str, Any] | None]) -> bool:
    return all(is_ready(value) for value in (newest[1] or {}).values())


def _format_logs(logs: Mapping[str, Any] | None) -> str:
    # Keras logs in alphabetical order; here losses come first and validation last.
    def sort_key(name: str) -> tuple[bool, bool, bool]:
        bare = name.removeprefix("val_")
        return bare != name, bare != "loss", not bare.endswith("_loss")

    names = sorted(logs or {}, key=sort_key)
    values = for_people({name: float((logs or {})[name]) for name in names})
    return "  ".join(
        f"{name} " + " to ".join(f"{v:.3g}" if name == "learning_rate" else f"{v:.4f}" for v in of)
        for name, of in values.items()
    )


def _bar(title: str, steps: int) -> Any:
    return NotebookBar(title, steps) if in_notebook() else TerminalBar(title, steps)

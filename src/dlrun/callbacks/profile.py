"""Where training's time goes."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import keras

PHASES = ("first step", "data", "step", "callbacks", "checkpoint", "validation", "evaluation")
HOOKS = tuple(name for name in dir(keras.callbacks.Callback) if name.startswith("on_"))


class Profile(keras.callbacks.Callback):
    """Shares training's seconds among phases; each second counts in one of them.

    What ``fit()`` does in threads beside the steps, where it calls hooks or reads batches there,
    takes no time from them and is reported separately.
    """

    async_safe = True  # the hook of a batch counts, and looks at nothing
    takes_tensors = True

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.beside: Counter[str] = Counter()
        """Seconds in other threads, by phase."""
        self._waits: list[Callable[[], tuple[int, float]]] = []
        self._open: list[str] = []
        self._since = 0.0
        self._thread = threading.get_ident()
        self._first: int | None = None  # step of the epoch, counted from 0
        self._last = -1
        self._in_first_call = 0  # steps, of which some loops take several in one call

    def watch(self, *, batches: Any, callbacks: Iterable[Any], checkpoint: type, **_: Any) -> None:
        """Begin with the first step, and time the reading of batches and the hooks of callbacks.

        Called just before the loop, which builds and compiles before its first hook.

        Args:
            batches: Of training, a :class:`dlrun.data.batches.Batches`.
            callbacks: All others.
            checkpoint: The class of those that count as checkpoints.
        """
        self._open, self._since = ["first step"], time.perf_counter()
        self.counts["first step"] = 1
        batches.reading, batches.waits = partial(self._within, "data"), self._waits
        for callback in callbacks:
            phase = "checkpoint" if isinstance(callback, checkpoint) else "callbacks"
            for name in HOOKS:
                if getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name):
                    setattr(callback, name, self._time(phase, getattr(callback, name)))

    def _time(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            with self._within(phase):
                return function(*arguments, **keywords)

        return call

    @contextmanager
    def _within(self, phase: str) -> Iterator[None]:
        """A block whose time is that of a phase."""
        began = time.perf_counter()
        if is_own := threading.get_ident() == self._thread:
            nested = bool(self._open) and self._open[-1] == phase
            self.counts[phase] += not nested
            self._enter(phase)
        try:
            yield
        finally:
            if is_own:
                self._leave()
            else:
                self.counts[phase] += 1
                self.beside[phase] += time.perf_counter() - began  # type: ignore[assignment]

    def _enter(self, phase: str) -> None:
        self._count_until_now()
        self._open.append(phase)

    def _leave(self) -> None:
        self._count_until_now()
        self._open.pop()

    def _count_until_now(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since  # type: ignore[assignment]
        self._since = now

    def _count_waits(self) -> None:
        """What the steps waited for a source with threads of its own is no time of theirs."""
        for since_last in self._waits:
            count, seconds = since_last()
            self.counts["data"] += count
            self.seconds["data"] += seconds  # type: ignore[assignment]
            self.seconds[self._open[0]] -= seconds  # type: ignore[assignment]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin to count the steps of the epoch."""
        self._first, self._last = None, -1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """End the first step when the second one begins."""
        if self._first is None:
            self._first = batch  # not 0 in a run that is resumed within an epoch
        if self._in_first_call and self._open[0] == "first step":
            self._count_until_now()
            self._count_waits()
            self._open[0] = "step"

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note how far the epoch is."""
        self._last = max(self._last, batch)  # fit() may call from threads, in any order
        if not self._in_first_call:
            self._in_first_call = batch + 1 - (self._first or 0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count the steps of the epoch."""
        self._count_steps()

    def on_test_begin(self, logs: Any = None) -> None:
        """Begin validation."""
        self.counts["validation"] += 1
        self._enter("validation")

    def on_test_end(self, logs: Any = None) -> None:
        """End it."""
        self._leave()

    def close(self) -> None:
        """End the last step, however training ended."""
        if self._open:
            self._count_until_now()
            self._count_waits()
            self._count_steps()
            self.counts["step"] -= self._in_first_call
            self._open = []

    def _count_steps(self) -> None:
        self.counts["step"] += max(0, self._last + 1 - (self._first or 0))
        self._first, self._last = None, -1

    def to_dict(self, evaluation_seconds: float | None) -> list[dict[str, Any]]:
        """A row for each phase that took time, for ``run.json``.

        Args:
            evaluation_seconds: What the evaluation on the test split took, after training; None if
                the run ended before.
        """
        seconds: dict[str, float] = dict(self.seconds)
        counts = Counter(self.counts)
        if evaluation_seconds is not None:
            seconds["evaluation"], counts["evaluation"] = evaluation_seconds, 1
        total = sum(seconds.values()) or 1.0
        return [
            {
                "phase": phase,
                "seconds": round(seconds.get(phase, 0.0), 6),
                "share": round(seconds.get(phase, 0.0) / total, 4),
                "count": counts.get(phase, 0),
                "seconds_beside": round(float(self.beside.get(phase, 0.0)), 6),
            }
            for phase in PHASES
            if counts.get(phase)
        ]

    def result(self, evaluation_seconds: float | None) -> tuple[dict[str, Any], list[str]]:
        """What ``run.json`` says of it, and lines for the log, which shows the rows itself."""
        return {"profile": self.to_dict(evaluation_seconds)}, []

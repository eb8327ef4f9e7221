"""The hooks of the callbacks, called between two steps in microseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

Hook = Callable[..., None]

BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class StepHooks(keras.callbacks.CallbackList):
    """Keras' list of callbacks, which between two steps calls only what a callback overrides.

    Keras' own converts the logs of each step to numbers, which waits for the device, and calls each
    hook of each callback. Here a callback whose class has ``takes_tensors = True`` gets the logs as
    they are. If any other has a hook after a batch, that hook is called as Keras does, for all
    callbacks: with numbers, and from a thread if all of them allow it.

    Args:
        callbacks: The callbacks, in calling order.
        **params: As for ``keras.callbacks.CallbackList``.
    """

    def __init__(self, callbacks: Sequence[Any], **params: Any) -> None:
        super().__init__(callbacks, add_history=True, verbose=0, **params)
        self._hooks: dict[str, list[Hook] | None] = {}
        self._find_hooks()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Also see which hooks there are: a callback may have got one as an attribute."""
        super().on_epoch_begin(epoch, logs)
        self._find_hooks()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call the hooks."""
        for hook in self._begin_train:
            hook(batch, logs={})

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the hooks, as Keras does if one needs that."""
        if self._end_train is None:
            super().on_train_batch_end(batch, logs)
            return
        for hook in self._end_train:
            hook(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call the hooks."""
        for hook in self._begin_test:
            hook(batch, logs={})

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the hooks, as Keras does if one needs that."""
        if self._end_test is None:
            super().on_test_batch_end(batch, logs)
            return
        for hook in self._end_test:
            hook(batch, logs=logs)

    def _find_hooks(self) -> None:
        self._begin_train = self._overridden("on_train_batch_begin", "on_batch_begin")
        self._begin_test = self._overridden("on_test_batch_begin")
        self._end_train = self._lean("on_train_batch_end", "on_batch_end")
        self._end_test = self._lean("on_test_batch_end")

    def _lean(self, *names: str) -> list[Hook] | None:
        """The hooks if all of them take tensors, else None."""
        callbacks = [callback for callback in self.callbacks if overrides(callback, *names)]
        if not all(takes_tensors(callback) for callback in callbacks):
            return None
        return [getattr(callback, names[0]) for callback in callbacks]

    def _overridden(self, *names: str) -> list[Hook]:
        return [getattr(c, names[0]) for c in self.callbacks if overrides(c, *names)]


def overrides(callback: Any, *names: str) -> bool:
    """Whether a callback has a hook of its own, in its class or as an attribute."""
    default = keras.callbacks.Callback
    hooks = [(getattr(callback, name), getattr(default, name)) for name in names]
    return any(getattr(hook, "__func__", None) is not of for hook, of in hooks)


def has_batch_hooks(callback: Any) -> bool:
    """Whether a callback is called between two steps."""
    # Keras' own criterion for callbacks that may run during the next step.
    return not getattr(callback, "async_safe", False) and overrides(callback, *BATCH_HOOKS)


def may_change_model(callbacks: Sequence[Any]) -> bool:
    """Whether a callback may read or change the model between two steps.

    One that tells how often it wants to be called changes it before the first step at most.
    """
    return any(has_batch_hooks(c) and not hasattr(c, "batch_interval") for c in callbacks)


def takes_tensors(callback: Any) -> bool:
    """Whether a callback's hooks after a batch take the logs as the step returns them."""
    return bool(getattr(type(callback), "takes_tensors", False))


def numbers(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """The logs as numbers; it waits until they are computed.

    A metric with several values gives a mapping of them.
    """
    values: dict[str, float] = {}
    for name, value in (logs or {}).items():
        values |= numbers(value) if isinstance(value, Mapping) else {name: number(value)}
    return values


def number(value: Any) -> float:
    """A logged value as a number; it waits until it is computed."""
    if isinstance(value, float):
        return value
    return float(keras.ops.convert_to_numpy(value))


def is_ready(value: Any) -> bool:
    """Whether a value can be read at once; only jax tells, elsewhere it is always tried."""
    ready = getattr(value, "is_ready", None)
    return ready is None or bool(ready())

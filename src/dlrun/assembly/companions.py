"""The other processes of a run that is spread over processes, one for each device."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun import backends
from dlrun.config.schema import Config
from dlrun.system import ranks

if TYPE_CHECKING:
    from dlrun.data.batches import Batches

SAMPLES = 16  # of the training split, among which two differ


@contextmanager
def companions(config: Config, call: str, **arguments: Any) -> Iterator[None]:
    """Start the other processes of a run, if it needs any; none is left at the end.

    Args:
        config: The run's config.
        call: What each of them calls, as ``module:function``.
        **arguments: Its keywords, in JSON types.
    """
    group = ranks.started_outside()
    needed = config.distribution.kind != "none" and config.device.count > 1
    if needed and group is None:
        needed = backends.distribution_of(config.backend.name).PROCESSES
    if not needed or ranks.current():
        yield
        return
    if group is not None:
        with ranks.join_group(group):
            if group.rank:
                module, _, function = call.partition(":")
                getattr(importlib.import_module(module), function)(**arguments)
                raise SystemExit(0)  # rank 0 does the rest
            group.at = arguments.get("at")
            yield
        return
    with ranks.start_ranks(config.device.count, call, arguments):
        yield


def agreed(config: Config) -> Callable[[int], int]:
    """A function that returns what rank 0 gives it, in each process of a run."""
    if config.distribution.kind == "none":
        return int
    return backends.distribution_of(config.backend.name).agree


def together(model: Any, config: Config, *splits: Batches) -> AbstractContextManager[list[Any]]:
    """Train a model together with the other processes of its run.

    Args:
        model: A compiled model.
        config: The run's config.
        *splits: What it is trained and validated on, of which each process reads its own part.

    Returns:
        A context with the callbacks that this takes, which come last.

    Raises:
        DlrunError: If the model would be called in parts, and its samples depend on each other.
    """
    if config.distribution.kind == "none":
        return nullcontext([])
    distribution = backends.distribution_of(config.backend.name)
    if config.device.count > 1 and not distribution.BY_COMPILER:
        from dlrun.backends._spread_layers import check_samples

        samples, *_ = splits[0].prepare(np.arange(min(SAMPLES, len(splits[0].split))))
        check_samples(model, samples, backends.module(config.backend.name))
    if ranks.current() and not _reads_whole_batch(model, config, distribution.BY_COMPILER):
        for batches in splits:
            batches.own = distribution.own_samples
    return distribution.together(model)


def _reads_whole_batch(model: Any, config: Config, by_compiler: bool) -> bool:
    """Whether code of the user's gets a batch in this process, beside the model's call.

    Where the compiler divides what is computed, a step and a model get the whole batch anyway.
    """
    import keras

    if _is_own(config.feed):
        return True
    if by_compiler:
        return False
    if _is_own(config.loop.get("step")):
        return True
    return any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("compute_loss", "compute_metrics")
    )


def _is_own(spec: Mapping[str, Any] | None) -> bool:
    """Whether a component of the config is the user's own."""
    return bool(spec) and not str((spec or {}).get("_target_") or "dlrun.").startswith("dlrun.")

"""The other processes of a run that is spread over processes, one for each device."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from dlrun import backends
from dlrun.config.schema import Config
from dlrun.system import ranks


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


def together(model: Any, config: Config) -> AbstractContextManager[list[Any]]:
    """Train a model together with the other processes of its run; gives their callbacks."""
    if config.distribution.kind == "none":
        return nullcontext([])
    return backends.distribution_of(config.backend.name).together(model)

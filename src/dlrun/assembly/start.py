"""Start a backend, and where there is need of it read and check the data set meanwhile."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun import backends
from dlrun.assembly.require import without_kept
from dlrun.config.instantiate import instantiate, partial

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset
    from dlrun.feeds import Feed
    from dlrun.training.reuse import ProcessCache


class Session(NamedTuple):
    """What a config's backend, device, data set and feed have become."""

    backend: backends.Backend
    device: str
    data: Dataset
    feed: Feed


def start(config: Config, cache: ProcessCache | None = None) -> Session:
    """Import Keras on the config's backend while the data set is read and checked.

    Args:
        config: For its backend, device, data set and feed, which may need another framework.
        cache: What the process keeps from run to run, where it stays for several.

    Raises:
        DlrunError: If the backend, the device, the data set or the feed can't be had, or the
            data set is not one to train on.
    """
    import numpy  # noqa: F401 - two threads that import it at once break it

    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(_read, config, cache)
        backend, device, fed = start_backend(config)
        return Session(backend, device, reading.result(), fed)


def start_backend(config: Config) -> tuple[backends.Backend, str, Feed]:
    """Import Keras on the config's backend; no data set is read.

    Args:
        config: For its backend, device and feed.

    Returns:
        The backend's module, the device in use as ``kind:index``, and the feed.

    Raises:
        DlrunError: If the backend, the device or the feed can't be had.
    """
    package = config.feed.get("package")
    beside = package if package != config.backend.name else None
    if beside == "torch":  # which TensorFlow must not come before
        backends.start_beside("torch")
    backend, device = backends.start(
        config.backend.name,
        kind=config.device.kind,
        index=config.device.index,
        precision=config.precision,
        seed=config.seed,
        cache=config.backend.compilation_cache,
    )
    if beside == "tensorflow":
        backends.start_beside("tensorflow")
    return backend, device, _feed(config, backend)


def _feed(config: Config, backend: backends.Backend) -> Feed:
    if config.feed.get("_target_") is None:
        return backend.feed
    return partial("feed", without_kept("feed", config.feed))


def _read(config: Config, cache: ProcessCache | None) -> Any:
    from dlrun.assembly.check_data import (
        check_data,  # NumPy is not needed to tell that the config is wrong
    )

    read = functools.partial(instantiate, "data", config.data)
    data = cache.data(repr((config.data, Path.cwd())), read) if cache else read()
    check_data(data, config)
    return data

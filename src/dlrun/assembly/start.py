"""Start a backend while another thread reads and checks the data set."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun import backends
from dlrun.assembly.length import run_length
from dlrun.assembly.require import spread_of
from dlrun.config.groups import without_kept
from dlrun.config.instantiate import instantiate, partial, targets
from dlrun.system import ranks

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec
    from dlrun.feeds import Feed
    from dlrun.training.reuse import ProcessCache


class Session(NamedTuple):
    """A started backend with its device, and the data set and feed to use."""

    backend: backends.Backend
    device: str
    data: Dataset
    feed: Feed


# For the user's files before a framework is imported: from the cache, a table of 1,000,000 x 40
# takes a tenth of it.
HEAD_START_SECONDS = 3.0


def start(
    config: Config, cache: ProcessCache | None = None, saved: InputSpec | None = None
) -> Session:
    """Import Keras on the config's backend, and read and check the data set.

    The user's files are read before, so that what is wrong with them is said at once; large ones
    that are not in the cache go on being read meanwhile, as are data sets that come with dlrun. A
    user's module may import Keras, and so must not come before the backend is chosen.

    Args:
        config: The run's config; its feed may need another backend's framework.
        cache: What a process that does several runs keeps between them.
        saved: Of a run, whose fitted preprocessing is applied; None to fit that of the data set.

    Raises:
        DlrunError: If the backend, the device, the data set or the feed is not available, or the
            data set fails a check.
    """
    if not is_of_dlrun(config):
        backend, device, feed = start_backend(config)
        return Session(backend, device, read_data(config, cache, saved), feed)
    backends.prepare(config.backend.name)
    import numpy  # noqa: F401 - importing it from two threads at once breaks it

    with ThreadPoolExecutor(max_workers=1) as pool:
        # In this context: it holds what the config may name.
        data = pool.submit(copy_context().run, read_data, config, cache, saved)
        if _is_read(config):
            wait([data], timeout=HEAD_START_SECONDS)
            if data.done():
                data.result()
        backend, device, feed = start_backend(config)
        return Session(backend, device, data.result(), feed)


def is_of_dlrun(config: Config) -> bool:
    """Whether no code of the user's reads the data set."""
    return all(target.startswith("dlrun.") for target in targets(config.data))


def _is_read(config: Config) -> bool:
    """Whether the data set is read from files or by its name; others come with dlrun."""
    return not {"path", "name"}.isdisjoint(config.data)


def start_backend(config: Config) -> tuple[backends.Backend, str, Feed]:
    """Import Keras on the config's backend; no data set is read.

    Args:
        config: The run's config.

    Returns:
        The backend's module, the device in use as ``kind:index``, and the feed.

    Raises:
        DlrunError: If the backend, the device or the feed is not available.
    """
    backends.prepare(config.backend.name)
    package = config.feed.get("package")
    feed_package = package if package != config.backend.name else None
    if feed_package == "torch":  # must be imported before TensorFlow
        backends.start_beside("torch")
    backend, device = backends.start(
        config.backend.name,
        kind=config.device.kind,
        index=config.device.index,
        precision=config.precision,
        matmul_precision=config.matmul_precision,
        seed=config.seed,
        cache=config.backend.compilation_cache,
        spread=spread_of(config),
    )
    if feed_package == "tensorflow":
        backends.start_beside("tensorflow")
    return backend, device, _feed(config, backend)


def _feed(config: Config, backend: backends.Backend) -> Feed:
    if config.feed.get("_target_") is None:
        return backend.feed
    return partial("feed", without_kept("feed", config.feed))


def read_data(
    config: Config, cache: ProcessCache | None = None, saved: InputSpec | None = None
) -> Any:
    """The checked data set of a config; the arguments are those of :func:`start`."""
    # Imported here: reporting a wrong config needs no NumPy.
    from dlrun.assembly.check_data import check_data
    from dlrun.assembly.classes import class_sampling, class_weights
    from dlrun.data.dataset import SPLITS, Dataset, Split
    from dlrun.data.source import Source

    def read() -> Any:
        data = instantiate("data", without_kept("data", config.data))
        if isinstance(data, Source):
            return data.dataset(saved)
        # check_data reports what a user's function returns in place of these.
        is_valid = isinstance(data, Dataset) and all(
            isinstance(getattr(data, split), Split) for split in SPLITS
        )
        return data.preprocess(saved.preprocessing if saved else None) if is_valid else data

    data = _share(lambda: cache.data(repr((config.data, Path.cwd())), read) if cache else read())
    check_data(data, config)
    if saved is None:  # of other data than a run's, a class may have no weight
        class_weights(data, config)  # refused here, before a model is built
    data = replace(data, sampling=class_sampling(data, config))
    given = (config.steps_per_epoch or 0) * config.batch_size or data.samples_per_pass
    return replace(data, length=run_length(config, given))


def _share(read: Callable[[], Any]) -> Any:
    """A data set that the run's processes on this machine have in memory once."""
    from dlrun.data.dataset import SPLITS, Split
    from dlrun.data.function import forget
    from dlrun.system.arrays import is_mapped

    def is_in_memory(data: Any) -> bool:  # files of the data cache are shared as they are
        splits = (getattr(data, name, None) for name in SPLITS)
        return not any(is_mapped(x) for s in splits if isinstance(s, Split) for x in s.arrays())

    group = ranks.current()
    if group is None or group.shared is None:
        return read()
    shared, group.shared = group.shared, None  # once: what is read later is read by each
    data = shared.get(read, is_shared=is_in_memory, is_alone=group.is_left)
    forget()  # of a process that did not read it, but found its task
    return data

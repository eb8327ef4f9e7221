"""Start a backend, and meanwhile read the data set."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from dlrun import backends
from dlrun.config.instantiate import instantiate

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset


class Started(NamedTuple):
    """What a config's backend, device and data set have become."""

    backend: backends.BackendModule
    device: str
    data: Dataset


def start(config: Config) -> Started:
    """Import Keras on the config's backend while the data set is read.

    Raises:
        DlrunError: If the backend, the device or the data set can't be had.
    """
    import numpy  # noqa: F401 - two threads that import it at once break it

    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(instantiate, "data", config.data)
        backend, device = backends.start(
            config.backend.name,
            kind=config.device.kind,
            index=config.device.index,
            precision=config.precision,
            seed=config.seed,
            cache=config.backend.compilation_cache,
        )
        return Started(backend, device, reading.result())

"""What a worker process is started with."""

from __future__ import annotations

from typing import NamedTuple

from dlrun.config.schema import Config


class ProcessKey(NamedTuple):
    """The settings fixed at the import of a framework; runs with equal keys can share a process."""

    backend: str
    device: str
    precision: str
    compilation_cache: bool
    feed: str
    distribution: str = ""
    devices: int = 1

    @classmethod
    def of(cls, config: Config) -> ProcessKey:
        """The key of a config."""
        backend = config.backend
        device = str(config.device)
        feed = str(config.feed.get("package") or "")
        cache, spread, count = backend.compilation_cache, config.spread, config.device.count
        return cls(backend.name, device, config.precision, cache, feed, spread, count)

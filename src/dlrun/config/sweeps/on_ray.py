"""Ray, as Hydra's launcher for it needs it: one of the sweep's own, or a cluster that is there."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, FloatNode

# Its launcher names none of the keys that it takes. These leave a run one process.
KEYS: dict[str, Any] = {
    "ray": {
        "init": {"address": "local"},  # by Ray's own default, whatever Ray runs here already
        "remote": {
            "num_cpus": FloatNode(1),
            "num_gpus": FloatNode(None),
            "memory": FloatNode(None),
            "resources": {},
            "accelerator_type": None,
            "max_retries": 0,
        },
    }
}
# Ray's memory for what tasks pass to each other: here, how a run has ended.
_STORE_BYTES = 100_000_000


def cluster(chosen: DictConfig) -> str | None:
    """The address of the cluster that is asked for, if one is.

    Args:
        chosen: The launcher's config.
    """
    address = chosen.ray.init.get("address")
    return None if address in (None, "local") else str(address)


def threads(chosen: DictConfig) -> int:
    """How many threads a run may have: Ray counts cores, and keeps no process to its own.

    Args:
        chosen: The launcher's config.
    """
    return max(1, int(chosen.ray.remote.get("num_cpus") or 1))


@contextmanager
def started(chosen: DictConfig, jobs: int | None) -> Iterator[None]:
    """Start Ray, or connect to it; Hydra's launcher takes what it finds.

    Called by the main thread: what Ray starts ends with the thread that has started it.

    Args:
        chosen: The launcher's config.
        jobs: How many run at once in a Ray of the sweep's own.
    """
    address = cluster(chosen)
    with _connected(address) if address else _own(jobs):
        yield


@contextmanager
def _own(jobs: int | None) -> Iterator[None]:
    # It listens to the network; a token in the user's home would be that of their clusters.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex()}
    os.environ.update(token, RAY_USAGE_STATS_ENABLED="0")
    import ray

    # Not TMPDIR: the path of a socket must be short.
    places = os.environ.get("RAY_TMPDIR", "/tmp")
    with tempfile.TemporaryDirectory("-ray", "dlrun-", places, ignore_cleanup_errors=True) as place:
        try:
            ray.init(
                "local",
                num_cpus=jobs,
                num_gpus=0,  # a run takes its share of them by itself
                object_store_memory=_STORE_BYTES,
                include_dashboard=False,
                _temp_dir=place,
            )
            yield
        finally:
            ray.shutdown()


@contextmanager
def _connected(address: str) -> Iterator[None]:
    # Where there is no cluster: one try takes 40 s, nothing interrupts it, and Ray makes 20.
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    import ray

    # Hydra's launcher would say how much memory it is to have, which a cluster refuses.
    ray.init(address)
    try:
        yield
    finally:
        ray.shutdown()

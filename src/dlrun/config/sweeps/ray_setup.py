"""Start Ray for Hydra's launcher: a local one for the sweep, or a connection to a cluster."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, FloatNode

# The launcher does not declare its keys. These keep a run in one process.
KEYS: dict[str, Any] = {
    "ray": {
        "init": {"address": "local"},  # Ray's default would join one that runs here
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
# The memory for objects that tasks exchange: here, only the outcome of a run.
_STORE_BYTES = 100_000_000


def cluster_address(config: DictConfig) -> str | None:
    """The address of the cluster to connect to; None for a local Ray.

    Args:
        config: The launcher's config.
    """
    address = config.ray.init.get("address")
    return None if address in (None, "local") else str(address)


def thread_count(config: DictConfig) -> int:
    """The number of threads of a run: Ray counts cores, but does not bind processes to them.

    Args:
        config: The launcher's config.
    """
    return max(1, int(config.ray.remote.get("num_cpus") or 1))


@contextmanager
def run_ray(config: DictConfig, jobs: int | None) -> Iterator[None]:
    """Start Ray, or connect to a cluster; Hydra's launcher uses the connection it finds.

    Call it from the main thread: Ray's processes end with the thread that started them.

    Args:
        config: The launcher's config.
        jobs: The number of concurrent runs in a local Ray.
    """
    address = cluster_address(config)
    with _cluster_ray(address) if address else _local_ray(jobs):
        yield


@contextmanager
def _local_ray(jobs: int | None) -> Iterator[None]:
    # Ray listens on the network. A token in the user's home would be for their clusters.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex()}
    os.environ.update(token, RAY_USAGE_STATS_ENABLED="0")
    import ray

    # Not TMPDIR: a socket needs a short path.
    parent = os.environ.get("RAY_TMPDIR", "/tmp")
    with tempfile.TemporaryDirectory("-ray", "dlrun-", parent, ignore_cleanup_errors=True) as path:
        try:
            ray.init(
                "local",
                num_cpus=jobs,
                num_gpus=0,  # dlrun assigns GPUs to runs itself
                object_store_memory=_STORE_BYTES,
                include_dashboard=False,
                _temp_dir=path,
            )
            yield
        finally:
            ray.shutdown()


@contextmanager
def _cluster_ray(address: str) -> Iterator[None]:
    # If there is no cluster, one attempt takes 40 s and can't be interrupted; Ray makes 20.
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    import ray

    # Hydra's launcher would request memory for the cluster, which refuses that.
    ray.init(address)
    try:
        yield
    finally:
        ray.shutdown()

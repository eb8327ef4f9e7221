"""One run in several processes of torch, each of which computes its part of every batch.

Every process reads the labels of the whole batch, and the inputs of its own samples, of which it
computes the model's outputs. These are gathered, so that loss and metrics are those of the whole
batch in every process, whatever they are: with weights, masks, and an uneven last batch. Each
process derives the loss by its own outputs, and the gradients are summed over all.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dlrun.system import process, ranks

if TYPE_CHECKING:
    from dlrun.backends._spread import Spread

PROCESSES = True
LAUNCHES: Sequence[str] = ("data_parallel",)
ONE_PROCESS = ""
BY_COMPILER = False
COMPILES = ("auto", "eager")


@dataclass
class _State:
    """What this process does now: whether the model is called in parts, and with which part."""

    together: bool = False
    is_watched: bool = True  # until the model has drawn no numbers but Keras' in a training step
    draws: bool = False  # whether Keras draws numbers now
    whole: int = 0
    first: int = 0
    last: int = 0
    timeout: float = 0.0  # seconds
    group: ranks.Group | None = None  # the processes that it has met


state = _State()


def environment(spread: Spread) -> Mapping[str, str]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    if sys.platform != "linux" or ranks.started_outside():
        return {}
    return {"GLOO_SOCKET_IFNAME": "lo"}  # nothing outside this machine may connect


def meet(spread: Spread) -> None:
    """See :class:`dlrun.backends._spread.Distribution`: torch meets on its devices."""


def available(kind: str, spread: Spread) -> list[str]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    from dlrun.backends import torch as backend

    return [device for device in backend.devices() if device.startswith(f"{kind}:")]


def spread_over(spread: Spread, devices: Sequence[str]) -> None:
    """Meet the other processes; see :class:`dlrun.backends._spread.Distribution`."""
    import torch
    from torch import distributed

    group = ranks.current()
    if group is None or (distributed.is_initialized() and state.group is group):
        return
    if distributed.is_initialized():  # by a run that ended before it trained
        distributed.destroy_process_group()
    state.group, state.timeout = group, spread.timeout
    with group.meeting():
        met = {"store": _meet(group)} if group.launcher else {"init_method": group.rendezvous}
        distributed.init_process_group(
            "nccl" if devices[0].startswith("gpu") and torch.cuda.is_available() else "gloo",
            **met,
            rank=group.rank,
            world_size=group.count,
            timeout=timedelta(seconds=spread.timeout),
        )


def _meet(group: ranks.Group) -> Any:
    """Meet where ``dlrun launch`` says, once all are there; rank 0 tells where the run continues.

    Rank 0 gets the socket that the launcher has opened, since torch would listen on all addresses.
    """
    from torch import distributed

    host, _, port = group.rendezvous.rpartition(":")
    store = distributed.TCPStore(
        host,
        int(port),
        is_master=group.rank == 0,
        wait_for_workers=False,
        timeout=timedelta(seconds=ranks.START_SECONDS),
        master_listen_fd=group.listens,
    )
    if group.rank == 0:
        store.set("at", json.dumps(group.at))
    store.set(f"rank {group.rank}", "ready")
    store.wait([f"rank {number}" for number in range(group.count)])
    group.at = json.loads(store.get("at"))
    return store


def check_model(model: Any) -> None:
    """See :class:`dlrun.backends._spread.Distribution`."""
    import torch

    from dlrun.backends._spread_layers import check_layers, refusal
    from dlrun.models.torch_module import TorchModule

    native = (torch.nn.modules.batchnorm._NormBase, torch.nn.modules.dropout._DropoutNd)
    held = (layer for layer in model._flatten_layers() if isinstance(layer, TorchModule))
    for module in (*model.modules(), *(part for layer in held for part in layer.native_modules())):
        if isinstance(module, native):
            raise refusal(f"torch.nn.{type(module).__name__} of the model")
    check_layers(model)


def edges(size: int, count: int) -> list[int]:
    """Where the parts of a batch begin, and the last one ends: ``count + 1`` numbers."""
    return [size * number // count for number in range(count + 1)]


def own_samples(size: int) -> slice:
    """See :class:`dlrun.backends._spread.Distribution`: a small batch is computed by each."""
    group = ranks.current()
    if group is None or size < group.count:
        return slice(None)
    return slice(*edges(size, group.count)[group.rank : group.rank + 2])


def agree(number: int) -> int:
    """See :class:`dlrun.backends._spread.Distribution`."""
    from torch import distributed

    from dlrun.backends._torch_parts import agree

    return agree(number) if distributed.is_initialized() else number


def memory_of(model: Any) -> list[dict[str, Any]]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    from dlrun.backends._spread_layers import memory_of_copies

    return memory_of_copies(model)


@contextmanager
def together(model: Any) -> Iterator[list[Any]]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    import torch
    from torch import distributed

    from dlrun.backends._agreement import Agreement
    from dlrun.backends._torch_fit import Recheck
    from dlrun.backends._torch_parts import random_by_sample, statistics_of_batches

    group = ranks.current()
    if group is None or not distributed.is_initialized():
        yield []
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, process.cores() // group.local_count))
    try:
        for variable in (*model.variables, *model.optimizer.variables):
            distributed.broadcast(variable.value.data, 0)
        state.together = state.is_watched = True
        with random_by_sample(), statistics_of_batches():
            yield [Recheck(), Agreement(agree)]
    except RuntimeError as error:
        lost = isinstance(error, distributed.DistError) or "gloo" in str(error)
        if lost and (reason := group.explain(error, state.timeout)) is not None:
            raise reason from error
        raise
    finally:
        state.together = False
        distributed.destroy_process_group()
        torch.set_num_threads(threads)

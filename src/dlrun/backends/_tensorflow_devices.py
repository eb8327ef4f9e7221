"""One run on several devices of TensorFlow: one program, whose model is called in parts.

``tf.distribute.MirroredStrategy`` calls the model on each device with its part of a batch, all of
them in step. The variables are those of one device, and the outputs of all parts come together
before the loss: so loss, gradients and metrics are those of the whole batch, and checkpoints those
of one device. Its mirrored variables are not used: with them the parts of an uneven batch would
count alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.backends._spread import Spread

PROCESSES = False
LAUNCHES: Sequence[str] = ()
# So it is with MultiWorkerMirroredStrategy, whatever addresses it is given, in TensorFlow 2.21.
ONE_PROCESS = "TensorFlow's server would run the graphs of anybody who reaches any of its addresses"
BY_COMPILER = False
COMPILES: Sequence[str] | None = ("auto", "graph")


@dataclass
class _State:
    """What this process does now: whether the model is called in parts, and by which strategy."""

    together: bool = False
    strategy: Any = None


state = _State()


def environment(spread: Spread) -> Mapping[str, str]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    return {}


def meet(spread: Spread) -> None:
    """See :class:`dlrun.backends._spread.Distribution`: there are no other processes."""


def available(kind: str, spread: Spread) -> list[str]:
    """Split the CPU, or show all accelerators, unless the process has computed before."""
    import tensorflow as tf

    name = kind.upper()
    physical = tf.config.list_physical_devices(name)
    try:
        if kind == "cpu":
            parts = [tf.config.LogicalDeviceConfiguration()] * spread.devices
            tf.config.set_logical_device_configuration(physical[0], parts)
        elif len(physical) >= spread.devices:
            tf.config.set_visible_devices(physical[: spread.devices], name)
        else:
            return [f"{kind}:{index}" for index, _ in enumerate(physical)]
    except RuntimeError:  # the process has them for good
        pass
    return [f"{kind}:{index}" for index, _ in enumerate(tf.config.list_logical_devices(name))]


def spread_over(spread: Spread, devices: Sequence[str]) -> None:
    """See :class:`dlrun.backends._spread.Distribution`."""
    import tensorflow as tf

    log = logging.getLogger("tensorflow")  # which tells that CPUs have no NCCL
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        state.strategy = tf.distribute.MirroredStrategy(list(devices))
    finally:
        log.setLevel(level)


def check_model(model: Any) -> None:
    """See :class:`dlrun.backends._spread.Distribution`."""
    from dlrun.backends._spread_layers import check_layers

    check_layers(model)


def own_samples(size: int) -> slice:
    """See :class:`dlrun.backends._spread.Distribution`: there are no other processes."""
    return slice(None)


def agree(number: int) -> int:
    """See :class:`dlrun.backends._spread.Distribution`: there are no other processes."""
    return number


def memory_of(model: Any) -> list[dict[str, Any]]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    from dlrun.backends._spread_layers import memory_of_copies

    return memory_of_copies(model)


@contextmanager
def together(model: Any) -> Iterator[list[Any]]:
    """See :class:`dlrun.backends._spread.Distribution`: there are no other processes."""
    from dlrun.backends._tensorflow_parts import across_parts

    if state.strategy is None or state.strategy.num_replicas_in_sync == 1:
        yield []
        return
    state.together = True
    try:
        with across_parts():
            yield []
    finally:
        state.together = False

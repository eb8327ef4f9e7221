"""One run in several processes of jax, which ``dlrun launch`` has started: one device each.

All of them compute one program over the devices of all, as one process does over its own devices.
Every process reads its part of each batch, and puts it on its device. The variables are this
process' own until training begins, and again when it ends: what is evaluated, saved or exported
then needs nobody else.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlrun.system import ranks
from dlrun.system.native_output import silent_stdout, stdout_on_stderr

if TYPE_CHECKING:
    from dlrun.backends._spread import Spread

BEAT_SECONDS = 10**6  # dlrun launch watches the processes


@dataclass
class _State:
    """What connects this process to the others; None if it is alone."""

    client: Any = None
    service: Any = None  # of rank 0
    timeout: float = 0.0  # seconds
    asked: int = 0  # how often they have agreed upon something


state = _State()


def meet(spread: Spread) -> None:
    """Meet the other processes, before jax looks for devices; rank 0 says where the run continues.

    Only the address that the launcher has given is listened on: jax' own default is all of them.
    """
    group = ranks.current()
    if group is None or group.launcher is None or state.client is not None:
        return
    state.timeout = spread.timeout
    _set_timeout(spread.timeout)
    import jax
    from jax._src import distributed  # jax exports no way to the client
    from jax._src.lib import _jax

    host, _, port = group.rendezvous.rpartition(":")
    if group.listens is not None:
        os.close(group.listens)  # jax opens the port that this has kept
    make = _jax.make_gloo_tcp_collectives
    interface = os.environ.get("GLOO_SOCKET_IFNAME")
    place = {"interface": interface} if interface else {"hostname": _own_address(host, int(port))}
    _jax.make_gloo_tcp_collectives = lambda distributed_client: make(distributed_client, **place)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is dlrun's own
    jax.config.update("jax_check_proxy_envs", False)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with group.meeting():
        jax.distributed.initialize(
            address,
            group.count,
            group.rank,
            local_device_ids=[group.local_rank],
            initialization_timeout=int(ranks.START_SECONDS),
            heartbeat_timeout_seconds=BEAT_SECONDS,
            coordinator_bind_address=address,
        )
        client = distributed.global_state.client
        if group.rank == 0:
            client.key_value_set("dlrun/at", json.dumps(group.at))
        group.at = json.loads(client.blocking_key_value_get("dlrun/at", _milliseconds()))
        with silent_stdout():  # gloo writes there that it is connected
            _sum_of_ones()
    _take_over(distributed.global_state)


def _set_timeout(seconds: float) -> None:
    """Let a sum over the processes wait no longer; XLA reads this when its first client starts."""
    flag = f"--xla_cpu_collective_timeout_seconds={max(1, round(seconds))}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def _own_address(host: str, port: int) -> str:
    """The address of this machine by which it reaches node 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((host, port))  # sends nothing
        return str(sock.getsockname()[0])


def _milliseconds() -> int:
    return int(1000 * state.timeout)


def _sum_of_ones() -> None:
    """The first sum over all processes, which connects them."""
    from jax.experimental import multihost_utils

    multihost_utils.broadcast_one_to_all(0.0)


def _take_over(jax_state: Any) -> None:
    """Let jax not wait for the other processes when this one ends, perhaps by an error.

    Its objects wait for up to five minutes when they are destroyed too, so they never are.
    """
    state.client, state.service = jax_state.client, jax_state.service
    for held in (state.client, state.service):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
    jax_state.client = jax_state.service = None


@contextmanager
def together(model: Any) -> Iterator[list[Any]]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    import jax
    import keras
    from keras.src.backend.jax.core import Variable  # Keras exports no other way

    from dlrun.backends._agreement import Agreement
    from dlrun.backends._jax_devices import compile_fit, distribute_by_size

    group = ranks.current()
    assert group is not None
    first = [next(d for d in jax.devices() if d.process_index == n) for n in range(group.count)]
    names = [f"{device.platform}:{device.id}" for device in first]
    assign = Variable._direct_assign
    Variable._direct_assign = functools.partialmethod(_assign, assign)
    distribute_by_size()
    compile_fit()
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
    )
    try:
        with stdout_on_stderr():  # gloo may connect, and write so, again
            _begin_as_rank_0(model)
            yield [Agreement(agree)]
            _keep_own(model)
            _leave()
    except (RuntimeError, ValueError) as error:  # jax raises both
        if is_lost(error) and (reason := group.explain(error, state.timeout)) is not None:
            raise reason from error
        raise
    finally:
        keras.distribution.set_distribution(None)
        Variable._direct_assign = assign


def _assign(variable: Any, assign: Any, value: Any) -> None:
    """In place of Keras' method: also a variable that was made before takes all devices."""
    import jax

    from dlrun.backends._jax_devices import put

    variable._initialize_layout()
    is_own = not isinstance(value, jax.core.Tracer) and not (
        isinstance(value, jax.Array) and not value.is_fully_addressable
    )
    if is_own:
        value = put(value, getattr(variable._layout, "backend_layout", variable._layout))
    assign(variable, value)


def is_lost(error: BaseException) -> bool:
    """Whether an error of jax says that another process does not answer."""
    return any(words in str(error) for words in ("Gloo", "DEADLINE_EXCEEDED", "UNAVAILABLE"))


def agree(number: int) -> int:
    """What rank 0 gives, in all processes, which ask as often and in one order."""
    import jax

    key, state.asked = f"dlrun/agreed/{state.asked}", state.asked + 1
    if jax.process_index() == 0:
        state.client.key_value_set(key, str(number))
        return number
    return int(state.client.blocking_key_value_get(key, _milliseconds()))


def _variables(model: Any) -> list[Any]:
    import keras

    compiled = model._compile_metrics  # whose variables belong to the model from its first batch on
    given = keras.tree.flatten([compiled._user_metrics, compiled._user_weighted_metrics])
    metrics = [metric for metric in given if isinstance(metric, keras.metrics.Metric)]
    of_metrics = [variable for metric in metrics for variable in metric.variables]
    found = (*model.variables, *model.optimizer.variables, *model.metrics_variables, *of_metrics)
    return list({id(variable): variable for variable in found}.values())


def _begin_as_rank_0(model: Any) -> None:
    """Let all processes begin with the values of rank 0."""
    from jax.experimental import multihost_utils

    variables = _variables(model)
    values = multihost_utils.broadcast_one_to_all([variable.value for variable in variables])
    for variable, value in zip(variables, values, strict=True):
        variable._direct_assign(value)


def _keep_own(model: Any) -> None:
    """Let the values on this process' device be its variables, and forget the compiled steps."""
    for variable in _variables(model):
        variable._layout = None
        variable._value = variable.value.addressable_data(0)
    model.train_function = model.test_function = model.predict_function = None


def _leave() -> None:
    """Wait until all have trained to the end: the others then end before rank 0 does."""
    client, service = state.client, state.service
    client.shutdown()
    if service is not None:
        service.shutdown()
    state.client = state.service = None

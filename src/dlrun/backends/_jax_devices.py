"""One run on several devices of jax: one program over all of them, on the batches of one device.

Keras keeps the variables on every device and jax divides the computation, sums over the whole
batch included: the loss, its gradients and the statistics of a batch are those of one device.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from dlrun.system import ranks
from dlrun.system.process import cores

if TYPE_CHECKING:
    from dlrun.backends._spread import Spread

PROCESSES = False
LAUNCHES: Sequence[str] = ("data_parallel",)
ONE_PROCESS = "a checkpoint needs all parts of the weights in one process"
BY_COMPILER = True
COMPILES: Sequence[str] | None = None
VIRTUAL = "xla_force_host_platform_device_count"


def environment(spread: Spread) -> Mapping[str, str]:
    """See :class:`dlrun.backends._spread.Distribution`. It has no effect on accelerators."""
    # Parts of the CPU that wait for each other hold a thread each, which XLA takes from those that
    # compute: each part needs threads of its own beside them.
    group = ranks.current()
    if _is_alone(spread):
        return {}
    own = 1 if group else spread.devices
    computing = max(1, cores() // group.local_count) if group else cores()
    threads = {"NPROC": str(computing + 2 * own)}
    # jax refuses both ways at once, and the user's own goes first.
    given = VIRTUAL in os.environ.get("XLA_FLAGS", "")
    return threads if given else {**threads, "JAX_NUM_CPU_DEVICES": str(own)}


def meet(spread: Spread) -> None:
    """See :class:`dlrun.backends._spread.Distribution`."""
    if ranks.current():
        from dlrun.backends import _jax_processes

        _jax_processes.meet(spread)


def available(kind: str, spread: Spread) -> list[str]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    from dlrun.backends import jax as backend

    return [device for device in backend.devices() if device.startswith(f"{kind}:")]


def spread_over(spread: Spread, devices: Sequence[str]) -> None:
    """See :class:`dlrun.backends._spread.Distribution`."""
    if ranks.current() or _is_alone(spread):  # processes compute together once they train
        return
    import keras

    distribute_by_size()
    compile_fit()
    strategy = importlib.import_module(f"dlrun.backends._jax_{spread.kind}")
    keras.distribution.set_distribution(strategy.distribution(spread, devices))


def _is_alone(spread: Spread) -> bool:
    """Whether there is nothing to spread: one device computes as a run without a distribution."""
    return not ranks.current() and spread.devices == 1 and spread.kind == "data_parallel"


def distribute_by_size() -> None:
    """Give each batch the layout of its own size: Keras gives the last one that of the first."""
    from keras.src.backend.jax import distribution_lib  # Keras exports no other way

    distribution_lib.distribute_data_input = _distribute


@functools.cache
def compiler_options() -> Mapping[str, Any] | None:
    """How to compile a step: each part of a CPU that has no core to spare computes in one thread.

    XLA else shares out every product of matrices among threads, which then wait for each other.
    """
    import jax

    parts = [device for device in jax.local_devices() if device.platform == "cpu"]
    group = ranks.current()
    own = cores() // group.local_count if group else cores()
    if not parts or own > len(parts):
        return None
    options = {"xla_cpu_multi_thread_eigen": False}
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:  # this version of XLA has no such option
        return None
    return options


def compile_fit() -> None:
    """Let Keras compile the steps of a spread run with :func:`compiler_options`."""
    import jax
    from keras.src.backend.jax import trainer  # Keras exports no other way

    def jit(*arguments: Any, **keywords: Any) -> Any:
        options = compiler_options() if is_spread() else None
        return jax.jit(*arguments, **keywords, compiler_options=options)

    if trainer.jit is jax.jit:
        trainer.jit = jit


def check_model(model: Any) -> None:
    """See :class:`dlrun.backends._spread.Distribution`."""
    import keras

    check = getattr(keras.distribution.distribution(), "check", None)
    if check is not None:
        check(model)


def together(model: Any) -> AbstractContextManager[list[Any]]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    if not ranks.current():
        return nullcontext([])
    from dlrun.backends import _jax_processes

    return _jax_processes.together(model)


def own_samples(size: int) -> slice:
    """See :class:`dlrun.backends._spread.Distribution`: uneven batches go to all."""
    group = ranks.current()
    if group is None or size % group.count:
        return slice(None)
    own = size // group.count
    return slice(own * group.rank, own * (group.rank + 1))


def agree(number: int) -> int:
    """See :class:`dlrun.backends._spread.Distribution`."""
    if not ranks.current():
        return number
    from dlrun.backends import _jax_processes

    return _jax_processes.agree(number)


def memory_of(model: Any) -> list[dict[str, Any]]:
    """See :class:`dlrun.backends._spread.Distribution`."""
    from dlrun.backends import _jax_model_parallel

    return _jax_model_parallel.memory_of(model)


def is_spread() -> bool:
    """Whether the run of this process is spread over devices."""
    import keras

    return keras.distribution.distribution() is not None


def place(arrays: Any, axis: int = 0) -> Any:
    """Put arrays of samples on the devices, each device its part.

    Samples that the devices can't share evenly go to all of them; :func:`divide` gives each its
    part.

    Args:
        arrays: NumPy arrays, or mappings of them.
        axis: Where the samples lie.
    """
    import jax

    return jax.tree.map(lambda array: put(array, _sharding(array, axis)), arrays)


def put(array: Any, sharding: Any) -> Any:
    """Put an array on devices; each process puts what belongs on its own.

    ``jax.device_put`` would let the processes compare the whole array first.

    Args:
        array: A NumPy array, or one of jax; the same in all processes.
        sharding: Where it lies.
    """
    import jax
    import numpy as np

    is_shared = isinstance(array, jax.Array) and not array.is_fully_addressable
    if sharding.is_fully_addressable or is_shared:
        return jax.device_put(array, sharding)
    array = np.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def divide(arrays: Any) -> Any:
    """Let each device compute its part of arrays of samples, within a compiled step.

    Any number of samples can be divided: jax fills the parts up, and leaves what it has added out
    of every result.
    """
    import jax

    mesh, name = _mesh()
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(name))

    def divide_array(array: Any) -> Any:
        is_batch = getattr(array, "ndim", 0) > 0
        return jax.lax.with_sharding_constraint(_constrain(array), sharding) if is_batch else array

    return jax.tree.map(divide_array, arrays)


def collect(outputs: Any) -> Any:
    """Let outputs leave a step: in equal parts, or whole where there are none."""
    import jax

    return jax.tree.map(_constrain, outputs)


def whole(values: Any) -> Any:
    """Let values leave a step whole on each device, as each process reads them."""
    import jax

    everywhere = jax.sharding.NamedSharding(_mesh()[0], jax.sharding.PartitionSpec())
    return jax.tree.map(lambda v: jax.lax.with_sharding_constraint(v, everywhere), values)


def _constrain(array: Any) -> Any:
    """An array that enters or leaves a step, in a layout that jax has a name for.

    jax 0.10.2 may else choose one of an uneven batch that it can't name (IndivisibleError).
    """
    import jax

    return jax.lax.with_sharding_constraint(array, _sharding(array, 0))


def shardings(values: Any) -> Any:
    """Where each of a state's arrays lies."""
    import jax

    return jax.tree.map(lambda value: value.sharding, values)


def _mesh() -> tuple[Any, str]:
    import keras

    distribution = keras.distribution.distribution()
    return distribution.device_mesh.backend_mesh, distribution.batch_dim_name


def _sharding(array: Any, axis: int) -> Any:
    import jax

    mesh, name = _mesh()
    parts = mesh.shape[name]
    is_even = array.ndim > axis and array.shape[axis] % parts == 0
    axes = [None] * axis + [name] if is_even else []
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


def _distribute(batch: Any, layout: Any, batch_dim_name: str) -> Any:
    """In place of Keras' function of this name: by the batch's own size."""
    return put(batch, _sharding(batch, 0))

"""JAX."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import numpy as np

    from dlrun.backends import Lanes, Stepper, Tracer
    from dlrun.data.batches import Batches, Take
    from dlrun.loops.step import Step

PACKAGE = "jax"
EXTRA = "jax"
TRAINS = True
HIDDEN: Sequence[str] = ("matplotlib", "pandas", "sklearn")
NOISE: Sequence[str] = ()
KEEPS_MEMORY = True
DISTRIBUTES: Sequence[str] = ("data_parallel", "model_parallel")
VECTORIZES = True
FREES_TENSORS = True
COMPILES: Sequence[str] = ("auto", "xla", "eager")
ON_GPU: Sequence[str] = ()
FIT_JOINS_STEPS = True
TRACES = True
START_SECONDS = 2.0


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.Backend`."""
    variables = {}
    if kind == "cpu":
        variables["JAX_PLATFORMS"] = "cpu"  # else jax would start and occupy an accelerator
    if precision == "float64":
        variables["JAX_ENABLE_X64"] = "1"  # else jax computes in float32, with a warning
    if cache_dir is not None:
        variables |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache_dir),
            # By default jax keeps only what took a second to compile.
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return variables


def version() -> str:
    """See :class:`dlrun.backends.Backend`."""
    import jax

    return str(jax.__version__)


def devices() -> list[str]:
    """See :class:`dlrun.backends.Backend`."""
    import jax

    names = []
    for kind in ("gpu", "tpu", "cpu"):
        try:
            names += [f"{kind}:{n}" for n, _ in enumerate(jax.local_devices(backend=kind))]
        except RuntimeError:  # there is no device of this kind
            continue
    return names


def use_device(device: str) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import jax

    kind, _, index = device.partition(":")
    jax.config.update("jax_default_device", jax.local_devices(backend=kind)[int(index)])


def device_of(array: Any) -> str:
    """See :class:`dlrun.backends.Backend`."""
    import jax

    device = min(array.sharding.addressable_devices, key=lambda device: device.id)
    # Another process of the run may have the first numbers.
    return f"{device.platform}:{jax.local_devices(backend=device.platform).index(device)}"


def check_process(precision: str) -> None:
    """Check that jax computes in 64 bits for float64 alone, unless the user has chosen."""
    import jax

    is_wide, wants = bool(jax.config.jax_enable_x64), precision == "float64"
    if is_wide == wants or (is_wide and "JAX_ENABLE_X64" in os.environ):
        return
    raise DlrunError(
        f"precision={precision}: jax computes in {64 if is_wide else 32} bits in this process,"
        " which its first use has decided",
        hint="use a new process for another precision",
    )


def adapt_keras() -> None:
    """See :class:`dlrun.backends.Backend`.

    Nothing is said of an int64 that becomes int32, as what a model takes is checked to fit.
    """
    from dlrun.backends._jax_keras import call_in_context

    message = "Explicitly requested dtype u?int64"
    warnings.filterwarnings("ignore", message, UserWarning, r"keras\.src\.backend\.jax\.core")
    call_in_context()


def set_matmul_precision(precision: str) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import jax

    chosen = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION")
    jax.config.update(
        "jax_default_matmul_precision", chosen if precision == "default" else precision
    )


def seed(seed: int) -> None:
    """JAX has no generator of its own."""


def seed_epoch(seed: int) -> None:
    """See :func:`seed`."""


def forget() -> None:
    """See :class:`dlrun.backends.Backend`."""


def random_state() -> list[np.ndarray]:
    """See :func:`seed`."""
    return []


def set_random_state(state: Sequence[np.ndarray]) -> None:
    """See :func:`seed`."""


def feed(batches: Batches) -> Any:
    """See :class:`dlrun.backends.Backend`."""
    from dlrun.feeds.pydataset import pydataset

    return pydataset(batches)


def adapt_optimizer(optimizer: Any) -> Any:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.optimizers.consistent import make_consistent

    return make_consistent(optimizer)


def gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import jax

    return jax.grad(lambda at: function(at).sum())  # type: ignore[no-any-return]


def tracer(directory: Path) -> Tracer:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._jax_trace import JaxTracer

    return JaxTracer(directory)


def step_bytes(model: Any, batch: Sequence[Any]) -> int | None:
    """Compile a step without running it, and ask XLA what it will allocate."""
    import jax

    from dlrun.backends._jax_steps import train_step
    from dlrun.loops.step import Step

    step = Step()
    step.begin(model, 0)
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([variable.value for variable in group] for group in variables)
    compiled = jax.jit(train_step(model, step), donate_argnums=0).lower(state, *batch).compile()
    if (plan := compiled.memory_analysis()) is None:
        return None
    made = plan.output_size_in_bytes - plan.alias_size_in_bytes  # not in the place of the state
    return int(plan.temp_size_in_bytes + made)


def track(model: Any, *, is_changed: bool) -> None:
    """JAX gets all variables in every step; Keras' own step would drop the masks of outputs."""
    from dlrun.backends._jax_keras import keep_masks

    keep_masks(model)


def bind(model: Any, step: Step) -> None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._jax_steps import test_step, train_step

    train, test = train_step(model, step), test_step(model, step)
    # Keras passes the state and compiles. The samples' weights, if they have any, are data[2].
    model.train_step = lambda state, data: train(state, *data)
    model.test_step = lambda state, data: test(state, *data)


def free_device_bytes() -> int | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import jax

    device = jax.config.jax_default_device or jax.local_devices()[0]
    stats = device.memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None


def place(batches: Batches) -> Take | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._jax_devices import is_spread
    from dlrun.backends._jax_stepper import gather_on_device

    return None if is_spread() else gather_on_device(batches)


def plan_raw(model: Any, inputs: Any, compile: str, *, on_device: bool = False) -> tuple[str, int]:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import jax
    import keras

    from dlrun.backends._jax_stepper import convolves

    def forward(inputs: Any) -> Any:
        with keras.StatelessScope():
            return model(inputs, training=False)

    if compile == "eager":
        return "eager", 1
    on_cpu = all(device_of(v.value).startswith("cpu") for v in model.variables[:1])
    if on_cpu and convolves(jax.make_jaxpr(forward)(inputs)):
        return "step", 1
    # A tenth faster than one call per step. Of samples on the device, a call takes a whole epoch,
    # but not so many steps that Ctrl-C has to wait.
    return "scan", 1024 if on_device else 32


def stepper(model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._jax_stepper import JaxStepper, run_steps
    from dlrun.backends._jax_steps import programs

    train, test = programs(model, step)
    return JaxStepper(
        model,
        run_steps(train, compile, scale),
        run_steps(test, compile, scale),
        run_steps(train, "loop", scale) if compile == "scan" else None,
    )


def lanes(ask: Callable[[Any], Any]) -> Lanes:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._jax_lanes import JaxLanes

    return JaxLanes(ask)


_former_peaks: dict[int, int] = {}  # by device, when :func:`reset_peak_device_bytes` was called


def reset_peak_device_bytes() -> None:
    """Keep the peak so far: jax can't reset it."""
    _former_peaks.update(_peaks())


def peak_device_bytes() -> int | None:
    """See :class:`dlrun.backends.TrainingBackend`. None too where the former peak still stands.

    What is in use between two steps would be no substitute: XLA frees activations and workspace
    within a step.
    """
    new = [peak for device, peak in _peaks().items() if peak > _former_peaks.get(device, 0)]
    return max(new, default=None)


def _peaks() -> dict[int, int]:
    """By device, the peak since the process started; empty on a CPU."""
    import jax

    found = {device.id: device.memory_stats() or {} for device in jax.local_devices()}
    return {n: s["peak_bytes_in_use"] for n, s in found.items() if "peak_bytes_in_use" in s}

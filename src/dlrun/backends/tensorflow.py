"""TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dlrun.backends import Stepper, Tracer
    from dlrun.data.batches import Batches, Take
    from dlrun.loops.step import Step

PACKAGE = "tensorflow"
EXTRA = "tensorflow"
TRAINS = True
HIDDEN: Sequence[str] = ("matplotlib", "pandas", "sklearn", "jax")
NOISE: Sequence[str] = ("absl::InitializeLog()", "oneDNN custom operations are on")
KEEPS_MEMORY = False
DISTRIBUTES: Sequence[str] = ("data_parallel",)
COMPILES: Sequence[str] = ("auto", "xla", "graph", "eager")
ON_GPU: Sequence[str] = ()
VECTORIZES = False
FREES_TENSORS = False  # oneDNN's allocator keeps it
FIT_JOINS_STEPS = True
TRACES = True
START_SECONDS = 3.0


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.Backend`."""
    # 2: errors only, without the start-up notices on instruction sets.
    return {"TF_CPP_MIN_LOG_LEVEL": "2"}


def version() -> str:
    """See :class:`dlrun.backends.Backend`."""
    import tensorflow

    return str(tensorflow.__version__)


def devices() -> list[str]:
    """See :class:`dlrun.backends.Backend`."""
    return [
        f"{kind}:{index}"
        for kind in ("gpu", "tpu", "cpu")
        for index, _ in enumerate(_physical(kind))
    ]


def use_device(device: str) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import tensorflow

    kind, _, index = device.partition(":")
    # TensorFlow computes on the first visible accelerator, so show it only this one.
    gpus = _physical("gpu")
    tensorflow.config.set_visible_devices([gpus[int(index)]] if kind == "gpu" else [], "GPU")


def device_of(array: Any) -> str:
    """See :class:`dlrun.backends.Backend`."""
    kind, _, index = array.device.rpartition("device:")[2].partition(":")  # .../device:GPU:0
    return f"{kind.lower()}:{index}"


def check_process(precision: str) -> None:
    """See :class:`dlrun.backends.Backend`. Nothing is decided at the import."""


def adapt_keras() -> None:
    """Nothing: Keras is right here."""


def set_matmul_precision(precision: str) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import tensorflow

    # TensorFlow allows TF32 by default.
    tensorflow.config.experimental.enable_tensor_float_32_execution(precision != "highest")


def seed(seed: int) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import tensorflow

    tensorflow.random.set_seed(seed)


def seed_epoch(seed: int) -> None:
    """Seed the generator of random numbers outside Keras.

    ``set_seed`` would clear TensorFlow's kernel cache each time, which costs 0.1 s per epoch.
    """
    import tensorflow

    tensorflow.random.get_global_generator().reset_from_seed(seed)


def forget() -> None:
    """See :class:`dlrun.backends.Backend`."""
    import tensorflow

    # The graph keeps every Python function that feeds tf.data, and its data set; the gradients that
    # Keras registers keep the graph forever. That is 60 MB per run on MNIST.
    graph = tensorflow.compat.v1.get_default_graph()
    getattr(graph, "_py_funcs_used_in_graph", []).clear()


def random_state() -> list[np.ndarray]:
    """See :class:`dlrun.backends.Backend`."""
    import tensorflow

    return [tensorflow.random.get_global_generator().state.numpy()]


def set_random_state(state: Sequence[np.ndarray]) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import tensorflow

    tensorflow.random.get_global_generator().reset(state[0])


def feed(batches: Batches) -> Any:
    """See :class:`dlrun.backends.Backend`."""
    from dlrun.feeds.tf_data import tf_data

    return tf_data(batches)


def _physical(kind: str) -> list[object]:
    import tensorflow

    return list(tensorflow.config.list_physical_devices(kind.upper()))


def adapt_optimizer(optimizer: Any) -> Any:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.optimizers.consistent import make_consistent
    from dlrun.optimizers.repeated_rows import SummedRows, is_linear

    return make_consistent(optimizer, before=() if is_linear(optimizer) else (SummedRows,))


def gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import tensorflow as tf

    def derivative(at: Any) -> Any:
        at = tf.convert_to_tensor(at)
        with tf.GradientTape() as tape:
            tape.watch(at)
            value = function(at)
        return tape.gradient(value, at)

    return derivative


def tracer(directory: Path) -> Tracer:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._tensorflow_trace import TensorFlowTracer

    return TensorFlowTracer(directory)


def step_bytes(model: Any, batch: Sequence[Any]) -> int | None:
    """TensorFlow tells nothing of a function before it runs."""
    return None


def track(model: Any, *, is_changed: bool) -> None:
    """See :class:`dlrun.backends.TrainingBackend`; a tape records variables by itself."""
    from dlrun.backends._tensorflow_devices import state

    if not state.together:
        return
    if "train_step" not in vars(model):
        from dlrun.loops.step import Step

        bind(model, Step())  # Keras' own step is for one device
    if not hasattr(model.train_step, "in_parts"):
        from dlrun.backends._spread_layers import refusal

        raise refusal("loop.step, which has a train_step,")
    model.jit_compile = False  # XLA compiles for one device


def bind(model: Any, step: Step) -> None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._tensorflow_stepper import test_step, train_step

    # Keras compiles. The samples' weights, if they have any, are data[2].
    def train(data: Any) -> dict[str, Any]:
        return train_step(model, step, *data)

    train.in_parts = True  # type: ignore[attr-defined]
    model.train_step = train
    model.test_step = lambda data: test_step(model, step, *data)


def free_device_bytes() -> int | None:
    """TensorFlow tells what it has taken, but not what there is."""
    return None


def place(batches: Batches) -> Take | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._tensorflow_devices import state
    from dlrun.backends._tensorflow_stepper import gather_on_device

    return None if state.together else gather_on_device(batches)


def plan_raw(model: Any, inputs: Any, compile: str, *, on_device: bool = False) -> tuple[str, int]:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._tensorflow_devices import state
    from dlrun.backends._tensorflow_stepper import convolves_on_a_cpu

    if compile == "eager":
        return "eager", 1
    if state.together:  # XLA compiles for one device
        return "graph", 16
    if compile == "auto" and not all(layer.supports_jit for layer in model._flatten_layers()):
        return "graph", 16
    if compile != "graph" and convolves_on_a_cpu(model, inputs):
        return ("graph", 16) if compile == "auto" else ("xla", 1)
    return compile.replace("auto", "xla"), 16  # a tenth faster than one call per step


def stepper(model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._tensorflow_stepper import TensorFlowStepper

    return TensorFlowStepper(model, step, compile, scale)


def reset_peak_device_bytes() -> None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import tensorflow as tf

    for gpu in tf.config.list_logical_devices("GPU"):
        with suppress(ValueError):  # from an allocator that does not count
            tf.config.experimental.reset_memory_stats(gpu.name)


def peak_device_bytes() -> int | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import tensorflow as tf

    peaks: list[int] = []
    for gpu in tf.config.list_logical_devices("GPU"):
        with suppress(ValueError):  # from an allocator that does not count
            peaks.append(tf.config.experimental.get_memory_info(gpu.name)["peak"])
    return max(peaks, default=None)

"""TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dlrun.backends import Stepper, Tracer
    from dlrun.data.batches import Batches
    from dlrun.loops.step import Step

PACKAGE = "tensorflow"
EXTRA = "tensorflow"
TRAINS = True
HIDDEN: Sequence[str] = ("matplotlib", "pandas", "sklearn", "jax")
NOISE: Sequence[str] = ("absl::InitializeLog()", "oneDNN custom operations are on")
KEEPS_MEMORY = False
DISTRIBUTES: Sequence[str] = ("data_parallel",)
COMPILES: Sequence[str] = ("auto", "xla", "graph", "eager")
VECTORIZES = False
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


def default_device() -> str:
    """See :class:`dlrun.backends.Backend`."""
    return devices()[0]


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
    """TensorFlow tells nothing of a CPU's memory, nor of a function before it runs."""
    return None


def track(model: Any) -> None:
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

    # Keras compiles. The samples' weights, if they have any, are data[2].
    def train(data: Any) -> dict[str, Any]:
        return _train_step(model, step, *data)

    train.in_parts = True  # type: ignore[attr-defined]
    model.train_step = train
    model.test_step = lambda data: _test_step(model, step, *data)


def _train_step(model: Any, step: Step, *batch: Any) -> dict[str, Any]:
    import tensorflow as tf

    from dlrun.backends._tensorflow_devices import state

    inputs, targets, *weights = step.apply_batch_hook(model, *batch)
    variables = model.trainable_weights
    with tf.GradientTape() as tape:
        outputs = _call(model, inputs, training=True)
        results = (inputs, targets, outputs, *weights)
        loss = step.apply_loss_hook(model, *results, training=True)
        scaled = model.optimizer.scale_loss(loss)
    if state.together:  # a tape does not see what other threads compute
        gradients = tf.gradients(scaled, [variable.value for variable in variables])
    else:
        gradients = tape.gradient(scaled, variables)
    if step.overrides("gradients"):  # it expects tensors, not the slices of an embedding
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        gradients = step.apply_gradient_hook(model.optimizer, gradients)
    model.optimizer.apply(gradients, variables)
    return step.apply_metrics_hook(model, loss, *results)


def _test_step(model: Any, step: Step, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
    outputs = _call(model, inputs, training=False)
    results = (inputs, targets, outputs, *weights)
    loss = step.apply_loss_hook(model, *results, training=False)
    return step.apply_metrics_hook(model, loss, *results)


def _call(model: Any, inputs: Any, *, training: bool) -> Any:
    from dlrun.backends._tensorflow_devices import state

    if not state.together:
        return model(inputs, training=training)
    from dlrun.backends import _tensorflow_parts

    return _tensorflow_parts.call(model, inputs, training=training)


def free_device_bytes() -> int | None:
    """TensorFlow tells what it has taken, but not what there is."""
    return None


def place(batches: Batches) -> Callable[[np.ndarray], tuple[Any, ...]] | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import numpy as np
    import tensorflow as tf

    from dlrun.backends._tensorflow_devices import state

    if state.together:
        return None
    whole = tf.nest.map_structure(
        tf.convert_to_tensor, batches.gather(np.arange(len(batches.split)))
    )
    return lambda samples: tf.nest.map_structure(lambda array: tf.gather(array, samples), whole)


def plan_raw(model: Any, inputs: Any, compile: str, *, on_device: bool = False) -> tuple[str, int]:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._tensorflow_devices import state

    if compile == "eager":
        return "eager", 1
    if state.together:  # XLA compiles for one device
        return "graph", 16
    if compile == "auto" and not all(layer.supports_jit for layer in model._flatten_layers()):
        return "graph", 16
    if compile != "graph" and _convolves_on_a_cpu(model, inputs):
        return ("graph", 16) if compile == "auto" else ("xla", 1)
    return compile.replace("auto", "xla"), 16  # a tenth faster than one call per step


def _convolves_on_a_cpu(model: Any, inputs: Any) -> bool:
    """Whether XLA would compute a convolution on one thread, as it does on a CPU inside a loop.

    A step of the guide's convnet then takes more than ten times as long. Outside a loop, XLA takes
    a quarter longer than a graph.
    """
    import tensorflow as tf

    if not all("CPU" in variable.value.device for variable in model.variables[:1]):
        return False
    forward = tf.function(lambda inputs: model(inputs, training=False))
    # The text includes the functions that the graph calls.
    graph = str(forward.get_concrete_function(inputs).graph.as_graph_def())
    return re.search(r'\bop: "\w*Conv', graph) is not None


def stepper(model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
    """See :class:`dlrun.backends.TrainingBackend`."""
    return _Stepper(model, step, compile, scale)


class _Stepper:
    """See :class:`dlrun.backends.Stepper`; the state is the model's variables at all times."""

    def __init__(self, model: Any, step: Step, compile: str, scale: float) -> None:
        self.train = self._compile(_train_step, model, step, compile, scale)
        self.test = self._compile(_test_step, model, step, compile, scale)

    def load(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    def store(self) -> None:
        """See :class:`dlrun.backends.Stepper`."""

    @staticmethod
    def _compile(
        step_function: Callable[..., Any], model: Any, step: Step, compile: str, scale: float
    ) -> Callable[..., dict[str, Any]]:
        import tensorflow as tf

        from dlrun.data.scaling import integer_inputs, scale_inputs
        from dlrun.data.tree import map_named

        integers = integer_inputs(model)

        def float32(array: Any) -> Any:
            return tf.cast(array, tf.float32)

        def run_step(batches: tuple[Any, ...], index: Any, scale: Any) -> dict[str, Any]:
            def prepare(name: str | None, array: Any) -> Any:
                divisor = None if name in integers else scale
                return scale_inputs(array, divisor, is_integer=array.dtype.is_integer, cast=float32)

            inputs, *others = tf.nest.map_structure(lambda a: a[index], batches)
            inputs = map_named(prepare, inputs)
            logs: dict[str, Any] = step_function(model, step, inputs, *others)
            return logs

        def run_steps(batches: tuple[Any, ...], scale: Any) -> dict[str, Any]:
            steps = len(tf.nest.flatten(batches)[0])
            if compile == "eager" or steps == 1:
                logs = [run_step(batches, index, scale) for index in range(steps)]
                return logs[-1]

            def body(index: Any) -> tuple[Any]:
                run_step(batches, index, scale)
                return (index + 1,)

            tf.while_loop(lambda index: index < steps, body, [0])
            results: dict[str, Any] = model.get_metrics_result()
            return results

        run: Callable[..., Any] = run_steps
        if compile != "eager":
            run = tf.function(run_steps, jit_compile=compile == "xla")
        # A tensor, not a constant: XLA would multiply by a constant's inverse, which rounds
        # differently from the division in every other loop.
        divisor = tf.constant(scale, tf.float32)

        def call(*batches: Any) -> dict[str, Any]:
            # Tensors: with NumPy arrays, the function would be traced again for each call.
            logs: dict[str, Any] = run(
                tf.nest.map_structure(tf.convert_to_tensor, batches), divisor
            )
            return logs

        return call


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

"""PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dlrun.backends import Stepper, Tracer
    from dlrun.data.batches import Batches, Take
    from dlrun.loops.step import Step

PACKAGE = "torch"
EXTRA = "torch"
TRAINS = True
HIDDEN: Sequence[str] = ("matplotlib", "pandas", "sklearn", "jax")
NOISE: Sequence[str] = ()
KEEPS_MEMORY = False
DISTRIBUTES: Sequence[str] = ("data_parallel",)
COMPILES: Sequence[str] = ("auto", "eager", "graph", "cuda_graph")
ON_GPU: Sequence[str] = ("cuda_graph",)
VECTORIZES = False
FREES_TENSORS = True
FIT_JOINS_STEPS = False
TRACES = False
START_SECONDS = 3.5


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.Backend`."""
    # Else the profiler of profile=trace writes to stderr that it starts and stops.
    return {"KINETO_LOG_LEVEL": "6"}


def version() -> str:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    return str(torch.__version__)


def devices() -> list[str]:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    gpus = torch.cuda.device_count() or int(torch.backends.mps.is_available())
    return [*(f"gpu:{index}" for index in range(gpus)), "cpu:0"]


def use_device(device: str) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    kind, _, index = device.partition(":")
    if kind == "cpu":
        name = "cpu"
    elif torch.cuda.is_available():
        torch.cuda.set_device(int(index))
        name = f"cuda:{index}"
    else:
        name = "mps"
    os.environ["KERAS_TORCH_DEVICE"] = name  # read when Keras is imported


def device_of(array: Any) -> str:
    """See :class:`dlrun.backends.Backend`."""
    kind = "cpu" if array.device.type == "cpu" else "gpu"
    return f"{kind}:{array.device.index or 0}"


def check_process(precision: str) -> None:
    """See :class:`dlrun.backends.Backend`. Nothing is decided at the import."""


def adapt_keras() -> None:
    """Compute Keras' LSTM and GRU with torch's kernels on a CPU."""
    from dlrun.backends._torch_recurrent import adapt_recurrent_layers

    adapt_recurrent_layers()


def set_matmul_precision(precision: str) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    # By default torch multiplies matrices in float32, but convolves in TF32.
    torch.set_float32_matmul_precision("high" if precision == "high" else "highest")
    torch.backends.cudnn.allow_tf32 = precision != "highest"


def seed(seed: int) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    torch.manual_seed(seed)


def seed_epoch(seed: int) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    torch.manual_seed(seed)


def forget() -> None:
    """See :class:`dlrun.backends.Backend`."""


def random_state() -> list[np.ndarray]:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [state.numpy() for state in (torch.get_rng_state(), *gpus)]


def set_random_state(state: Sequence[np.ndarray]) -> None:
    """See :class:`dlrun.backends.Backend`."""
    import torch

    cpu, *gpus = (torch.from_numpy(array) for array in state)
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)


def feed(batches: Batches) -> Any:
    """See :class:`dlrun.backends.Backend`."""
    from dlrun.feeds.pydataset import pydataset

    return pydataset(batches)


def adapt_optimizer(optimizer: Any) -> Any:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.optimizers.consistent import make_consistent
    from dlrun.optimizers.on_torch import WeightDecay, replace_optimizer

    return make_consistent(replace_optimizer(optimizer), after=(WeightDecay,))


def gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import torch

    def derivative(at: Any) -> Any:
        at = torch.as_tensor(at)
        if not at.requires_grad:  # else it is the variable of an enclosing derivative
            at = at.detach().requires_grad_()
        with torch.enable_grad():
            [slope] = torch.autograd.grad(function(at).sum(), at, create_graph=True)
        return slope

    return derivative


def tracer(directory: Path) -> Tracer:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._torch_trace import TorchTracer

    return TorchTracer(directory)


def step_bytes(model: Any, batch: Sequence[Any]) -> int | None:
    """Train one step, and ask torch's allocator."""
    import keras

    from dlrun.backends._torch_memory import peak_bytes
    from dlrun.backends._torch_stepper import Steps
    from dlrun.loops.step import Step

    step = Step()
    step.begin(model, 0)
    inputs, targets, *weights = keras.tree.map_structure(keras.ops.convert_to_tensor, tuple(batch))
    model.train()
    return peak_bytes(lambda: Steps(model, step).train(inputs, targets, *weights))


def track(model: Any, *, is_changed: bool) -> None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._torch_devices import state

    bound = vars(model).get("train_step")
    if state.together and (bound is None or hasattr(bound, "recheck")):
        from dlrun.backends._torch_fit import bind_captured

        bind_captured(model, is_changed=is_changed)  # Keras' own step is for one process
    if state.together and not hasattr(model.train_step, "in_parts"):
        from dlrun.backends._spread_layers import refusal

        raise refusal("loop.step, which has a train_step,")
    # Keras registers variables with torch by name, so only one of several that share a name:
    # zero_grad() would not clear the gradients of the others.
    known = {id(parameter) for parameter in model.parameters()}
    for number, variable in enumerate(model.trainable_variables):
        if id(variable.value) not in known:
            model.register_parameter(f"variable_{number}", variable.value)


def bind(model: Any, step: Step) -> None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._torch_stepper import Steps

    steps = Steps(model, step)

    # The samples' weights, if they have any, are data[2].
    def train(data: Any) -> dict[str, Any]:
        return steps.train(*data)

    train.in_parts = True  # type: ignore[attr-defined]
    model.train_step = train
    model.test_step = lambda data: steps.test(*data)


def free_device_bytes() -> int | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import keras
    import torch

    if keras.ops.zeros(()).device.type != "cuda":
        return None
    return int(torch.cuda.mem_get_info()[0])


def place(batches: Batches) -> Take | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    from dlrun.backends._torch_devices import state
    from dlrun.backends._torch_stepper import gather_on_device

    return None if state.together else gather_on_device(batches)


def plan_raw(model: Any, inputs: Any, compile: str, *, on_device: bool = False) -> tuple[str, int]:
    """See :class:`dlrun.backends.TrainingBackend`."""
    # Callbacks after each step take a twentieth of a small model's step.
    return compile.replace("auto", "trace"), 1 if compile == "eager" else 8


def stepper(model: Any, step: Step, *, compile: str, scale: float) -> Stepper:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import keras

    from dlrun.backends._requirements import require_gpu
    from dlrun.backends._torch_graph import record_cuda_graph
    from dlrun.backends._torch_stepper import Steps, TorchStepper

    steps = Steps(model, step)
    if compile == "graph":
        steps.compile()
    elif compile in ("trace", "cuda_graph"):
        steps.capture()
    at = keras.ops.zeros(())
    require_gpu("torch", compile=compile, device=device_of(at))
    record = record_cuda_graph if compile == "cuda_graph" else None
    return TorchStepper(steps, scale, at.device, record)


def reset_peak_device_bytes() -> None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def peak_device_bytes() -> int | None:
    """See :class:`dlrun.backends.TrainingBackend`."""
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None

"""What need not be imported with Keras and the frameworks, though they would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlrun.backends._protocols import Backend
from dlrun.system.imports import deferred_modules, without_gc, without_packages
from dlrun.system.native_output import filtered_stderr
from dlrun.system.stand_ins import LateDecorator, LateModule, late_names

# What is imported in case somebody uses it: IPython to edit weight files in a notebook, files of
# Keras' own form, requests for RemoteMonitor, sparse arrays of jax, whose solvers import much of
# SciPy, operations on images, TensorFlow's own tests, the API of TensorFlow 1, with a Keras of its
# own, and of TPUs and single operations; torch's compiler, exports, distributions, models to
# download and quantization.
DEFERRED = (
    "IPython",
    "h5py",
    "jax.experimental.sparse.linalg",
    "keras.src.backend.torch.image",
    "requests",
    "tensorflow._api.v2.__internal__.distribute.combinations",
    "tensorflow._api.v2.__internal__.distribute.multi_process_runner",
    "tensorflow._api.v2.__internal__.feature_column",
    "tensorflow._api.v2.compat.v1",
    "tensorflow._api.v2.compat.v2",
    "tensorflow._api.v2.feature_column",
    "tensorflow._api.v2.raw_ops",
    "tensorflow._api.v2.tpu",
    "torch._dynamo",
    "torch.distributions",
    "torch.export",
    "torch.hub",
    "torch.quantization",
)

# As long as nothing is compiled, there is nothing to keep torch's compiler from, and none to reset.
# Where processes meet, torch forgets what the compiler knew of their operations.
STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "torch._dynamo": {
        "disable": LateDecorator("disable"),
        "reset": lambda: None,
        "trace_rules": LateModule("torch._dynamo.trace_rules", clear_lru_cache=lambda: None),
    }
}

# Attention on a TPU; the cells and schedules of TensorFlow's old Keras, which imports SciPy.
LATE = {
    "jax.experimental.pallas.ops.tpu.splash_attention": (
        "splash_attention_kernel",
        "splash_attention_mask",
    ),
    "tensorflow.python.keras.layers.rnn_cell_wrapper_v2": (
        "DeviceWrapper",
        "DropoutWrapper",
        "ResidualWrapper",
    ),
    "tensorflow.python.training.learning_rate_decay": (
        "cosine_decay",
        "cosine_decay_restarts",
        "exponential_decay",
        "inverse_time_decay",
        "linear_cosine_decay",
        "natural_exp_decay",
        "noisy_linear_cosine_decay",
        "piecewise_constant",
        "polynomial_decay",
    ),
}


@contextmanager
def import_of(backend: Backend) -> Iterator[None]:
    """The block in which Keras and a framework are imported, fast and quietly."""
    with (
        without_gc(),
        without_packages(backend.HIDDEN),
        deferred_modules(DEFERRED, STAND_INS),
        late_names(LATE),
        filtered_stderr(backend.NOISE),
    ):
        yield

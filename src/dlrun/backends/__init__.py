"""Backends: everything that differs between frameworks, one module each with the same names.

A backend's module imports its framework inside its functions, so importing the module is cheap.
:func:`start` sets the environment, which Keras and the frameworks read once, and imports them. A
process can start only one backend.

What is the same for all of them is in modules that begin with an underscore, without a framework:
``_protocols`` what a backend has to offer, ``_spread`` the same for several devices, ``_modules``
which there are, ``_requirements`` whether one can be used, ``_devices`` which devices it computes
on, ``_startup`` its start, ``_process`` what that decides for the process, ``_compile_cache`` where
compiled functions are kept.
"""

from dlrun.backends._devices import require_devices
from dlrun.backends._modules import (
    distribution_of,
    installed_backends,
    installed_version,
    module,
    names,
    training_module,
    trains,
    vectorizes,
)
from dlrun.backends._process import running
from dlrun.backends._protocols import (
    Backend,
    Lanes,
    Stepper,
    Tracer,
    TrainingBackend,
    VectorizingBackend,
)
from dlrun.backends._requirements import require, require_gpu, why_no_build
from dlrun.backends._spread import Spread
from dlrun.backends._startup import forget, keras_versions, prepare, start, start_beside

__all__ = [
    "Backend",
    "Lanes",
    "Spread",
    "Stepper",
    "Tracer",
    "TrainingBackend",
    "VectorizingBackend",
    "distribution_of",
    "forget",
    "installed_backends",
    "installed_version",
    "keras_versions",
    "module",
    "names",
    "prepare",
    "require",
    "require_devices",
    "require_gpu",
    "running",
    "start",
    "start_beside",
    "training_module",
    "trains",
    "vectorizes",
    "why_no_build",
]

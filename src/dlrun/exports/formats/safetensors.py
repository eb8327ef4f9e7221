"""The weights alone, by Keras' names for them, for those who build the model themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.errors import DlrunError
from dlrun.exports.content import KEY, Content

BACKEND = None
NATIVE = ("jax", "torch")
NEEDS = {"safetensors": "export"}
SUFFIX = ".safetensors"
RUNTIME = "safetensors"
QUANTIZES = ()
IS_RUN = False
NEEDS_GRAPH = False
MODES = ("float32",)
NOTE = "it holds the weights, not the graph: compared tensor by tensor with the run's"
NOISE = ()


def write(
    model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
) -> None:
    """Write the file; see :mod:`dlrun.exports.formats`."""
    from safetensors.numpy import save_file

    path.touch()
    mode = path.stat().st_mode  # save_file makes a file that only its owner can read
    save_file(tensors(model), str(path), metadata={KEY: content.to_json(), "format": "keras"})
    path.chmod(mode)


def tensors(model: Any) -> dict[str, np.ndarray]:
    """The values of a model's weights, by their paths.

    Raises:
        DlrunError: If two have one path.
    """
    import keras

    found: dict[str, np.ndarray] = {}
    for weight in model.weights:
        if weight.path in found:
            raise DlrunError(
                f"two weights are called {weight.path}, which safetensors can't hold",
                hint="give the layers names of their own",
                exit_code=1,
            )
        array = np.asarray(keras.ops.convert_to_numpy(weight.value))
        found[weight.path] = np.ascontiguousarray(array).reshape(array.shape)
    return found


def open_file(path: Path, mode: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The tensors of the file, whatever the inputs; see :mod:`dlrun.exports.formats`."""
    from safetensors.numpy import load_file

    found = load_file(str(path))
    return lambda inputs: found

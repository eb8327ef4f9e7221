"""A TensorFlow SavedModel, a directory, with one signature by names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.exports.content import FILE, Content
from dlrun.exports.formats._tf_function import serving_function

BACKEND = "tensorflow"
NATIVE = ("jax",)
NEEDS = {"tensorflow": "tensorflow"}
SUFFIX = ""
RUNTIME = "tf.saved_model"
QUANTIZES = ()
IS_RUN = True
NEEDS_GRAPH = True
MODES = ("float32",)
NOTE = ""
NOISE = ("absl::InitializeLog()", "oneDNN custom operations are on")
SIGNATURE = "serving_default"


def write(
    model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
) -> None:
    """Write the directory; see :mod:`dlrun.exports.formats`."""
    import tensorflow as tf

    module = tf.Module()
    module.model, module.serve = model, serving_function(model, content)
    tf.saved_model.save(module, str(path), signatures={SIGNATURE: module.serve})
    (path / FILE).write_text(content.to_json(), encoding="utf-8")


def open_file(path: Path, mode: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The directory in TensorFlow; see :mod:`dlrun.exports.formats`."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SIGNATURE]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = signature(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: tensor.numpy() for name, tensor in found.items()}

    run.loaded = loaded  # type: ignore[attr-defined]  # a signature alone does not keep its variables
    return run


def read_content(path: Path) -> str | None:
    """The content in the directory; see :mod:`dlrun.exports.formats`."""
    file = path / FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None

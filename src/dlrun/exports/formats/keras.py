"""A standard ``.keras`` file, of standard layers and those of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.exports.content import INPUT, OUTPUT, Content
from dlrun.exports.formats._zip import append_content
from dlrun.exports.keras import saving

BACKEND = None
NATIVE = ()
NEEDS: dict[str, str] = {}
SUFFIX = ".keras"
RUNTIME = "Keras"
QUANTIZES = ()
IS_RUN = False  # a run evaluates on any backend already
NEEDS_GRAPH = True
MODES = ("float32",)
NOTE = ""
NOISE = ()


def write(
    model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
) -> None:
    """Write the file; see :mod:`dlrun.exports.formats`."""
    with saving(model):
        model.save(path)
    append_content(path, content.to_json())


def open_file(path: Path, mode: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The file in Keras; see :mod:`dlrun.exports.formats`."""
    import keras

    model = keras.saving.load_model(path, compile=False)

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        several = isinstance(model.input, Mapping)
        found = model.predict_on_batch(dict(inputs) if several else inputs[INPUT])
        named = found if isinstance(found, Mapping) else {OUTPUT: found}
        return {name: np.asarray(array) for name, array in named.items()}

    return run

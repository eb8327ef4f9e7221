"""A Keras model on NumPy whose outputs an exported file computes.

Import it after the backend has started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun.config.schema import Config
from dlrun.data.input_spec import InputSpec
from dlrun.data.tree import tree_map
from dlrun.errors import DlrunError, first_line
from dlrun.exports import formats
from dlrun.exports.content import OUTPUT, Content
from dlrun.system.native_output import filtered_stderr

TINY = float(np.finfo(np.float32).tiny)


def exported_model(path: Path, content: Content, config: Config) -> keras.Model:
    """The model: it takes what a run's model takes, and returns what it returns.

    The file applies the task's activation, and gives numbers in the units of the target. Both are
    undone here, so that losses and metrics of logits are computed as for any run.

    Raises:
        DlrunError: If the runtime can't open the file, or an activation can't be undone.
    """
    module = formats.module(content.format)
    try:
        with filtered_stderr(module.NOISE):
            predict = module.open_file(path, module.MODES[0])
    except Exception as error:  # each runtime has its own
        raise DlrunError(f"{module.RUNTIME} can't open {path}: {first_line(error)}") from error
    undo = {str(one["name"]): _undo(one, content.spec, config) for one in content.outputs}
    return _ExportedModel(predict, content, undo)


class _ExportedModel(keras.Model):
    def __init__(
        self,
        predict: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
        content: Content,
        undo: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    ) -> None:
        super().__init__(name="exported")
        self._predict, self._content, self._undo_by_name = predict, content, dict(undo)
        self._is_several = isinstance(content.spec.num_classes, Mapping)
        self.built = True

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Run the file on a batch."""
        try:
            converted = self._content.convert(tree_map(np.asarray, inputs))
        except ValueError as error:
            raise DlrunError(str(error), exit_code=1) from error
        found = self._predict(converted)
        restored = {name: undo(found[name]) for name, undo in self._undo_by_name.items()}
        return restored if self._is_several else restored[OUTPUT]

    def compute_output_spec(self, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        """The shapes of the outputs."""
        shapes = {one["name"]: one["shape"] for one in self._content.outputs}
        found = {n: keras.KerasTensor((None, *shape), "float32") for n, shape in shapes.items()}
        return found if self._is_several else found[OUTPUT]


def _undo(
    output: Mapping[str, Any], spec: InputSpec, config: Config
) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of what a file does to an output at last."""
    targets: Any = spec.targets
    target = targets.get(output["name"]) if isinstance(targets, Mapping) else targets
    activation = output.get("activation")
    if target is not None and target.deviation:
        mean, deviation = np.array(target.mean), np.array(target.deviation)
        return lambda values: ((values.astype(np.float64) - mean) / deviation).astype(np.float32)
    if activation is None or activation == "linear":
        return lambda values: values.astype(np.float32)
    if activation == "softmax":
        return lambda values: np.log(np.maximum(values, TINY)).astype(np.float32)
    if activation == "sigmoid":
        return _logits
    raise DlrunError(
        f"an exported file with the activation {activation!a:.80} can't be evaluated:"
        " it can't be undone",
        hint="evaluate the run itself",
    )


def _logits(values: np.ndarray) -> np.ndarray:
    """The logits of probabilities; those that are 0 or 1 in float32 have logits of about 87."""
    doubles = values.astype(np.float64)
    ratio = np.maximum(doubles, TINY) / np.maximum(1 - doubles, TINY)
    logits: np.ndarray = np.log(ratio).astype(np.float32)
    return logits

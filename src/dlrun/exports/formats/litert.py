"""LiteRT (TensorFlow Lite), written by TensorFlow, and run by ai-edge-litert."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.exports.content import Content
from dlrun.exports.formats._tf_function import serving_function
from dlrun.exports.formats._unroll import unroll
from dlrun.exports.formats._zip import append_content, read_content
from dlrun.system.process import cores

__all__ = ["read_content"]

BACKEND = "tensorflow"
NATIVE = ("jax",)
NEEDS = {"tensorflow": "tensorflow", "ai_edge_litert": "export"}
SUFFIX = ".tflite"
RUNTIME = "ai-edge-litert"
QUANTIZES = ("int8", "float16")
IS_RUN = True
NEEDS_GRAPH = True
MODES = ("float32",)
NOTE = ""
NOISE = ("Created TensorFlow Lite XNNPACK delegate",)
SIGNATURE = "serving_default"


def write(
    model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
) -> None:
    """Write the file; see :mod:`dlrun.exports.formats`.

    The weights are made constants first: the converter does not find the variables of a Keras model
    that a module holds, and the file would compute without them.
    """
    import tensorflow as tf

    # LiteRT has no lists of tensors for the loop of recurrent layers.
    with unroll(model), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tf.saved_model.save(tf.Module(), folder, signatures={SIGNATURE: _frozen(model, content)})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if content.quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if content.quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if content.quantize == "int8":
            assert calibration is not None
            converter.representative_dataset = lambda: _samples(calibration)
        path.write_bytes(converter.convert())
    # As TensorFlow Lite's own metadata: a zip archive at the end, which interpreters skip.
    append_content(path, content.to_json())


def _frozen(model: Any, content: Content) -> Any:
    """The serving function, with constants in place of variables."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = serving_function(model, content)
    constant = convert_variables_to_constants_v2(function.get_concrete_function())
    names = [tensor.name.partition(":")[0] for tensor in constant.inputs]
    outputs = sorted(one["name"] for one in content.outputs)  # as TensorFlow flattens a mapping

    def serve(inputs: Mapping[str, Any]) -> dict[str, Any]:
        by_name = {_graph_name(name): tensor for name, tensor in inputs.items()}
        found = constant(*(by_name[name] for name in names))
        return dict(zip(outputs, found, strict=True))

    return tf.function(serve, input_signature=function.input_signature)


def _graph_name(name: str) -> str:
    """A name as TensorFlow gives it to a node."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)


def _samples(calibration: Mapping[str, np.ndarray]) -> Iterator[Any]:
    for row in range(len(next(iter(calibration.values())))):
        yield SIGNATURE, {name: array[row : row + 1] for name, array in calibration.items()}


def open_file(path: Path, mode: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The file in LiteRT; see :mod:`dlrun.exports.formats`."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=cores())
    interpreter.allocate_tensors()  # says here, not in the first batch, what it computes with
    runner = interpreter.get_signature_runner(SIGNATURE)

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.array(array) for name, array in runner(**inputs).items()}

    run.interpreter = interpreter  # type: ignore[attr-defined]  # the runner does not keep it
    return run

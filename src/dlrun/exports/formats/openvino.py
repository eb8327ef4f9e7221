"""OpenVINO's intermediate representation: ONNX, written by torch, and converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.exports.content import KEY, Content
from dlrun.exports.formats import onnx

BACKEND = "torch"
NATIVE = ()
NEEDS = {**onnx.NEEDS, "openvino": "export"}
SUFFIX = ".xml"
RUNTIME = "OpenVINO"
QUANTIZES = ("float16",)
IS_RUN = True
NEEDS_GRAPH = True
MODES = ("float32", "default")
NOTE = (
    "OpenVINO computes in bfloat16 by default on processors that have it;"
    " INFERENCE_PRECISION_HINT=f32 asks for float32"
)
NOISE = ()


def write(
    model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
) -> None:
    """Write the file, and its weights beside it; see :mod:`dlrun.exports.formats`."""
    import openvino

    source = path.with_suffix(".onnx")
    onnx.write(model, replace(content, quantize=None), source, None)
    try:
        converted = openvino.convert_model(str(source))
    finally:
        source.unlink()
    converted.set_rt_info(content.to_json(), KEY)
    openvino.save_model(converted, str(path), compress_to_fp16=content.quantize == "float16")


def open_file(path: Path, mode: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The file in OpenVINO; see :mod:`dlrun.exports.formats`."""
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": "f32"} if mode == "float32" else {}
    compiled = openvino.Core().compile_model(str(path), "CPU", hint)

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = compiled(dict(inputs))
        return {output.any_name: np.array(found[output]) for output in compiled.outputs}

    return run


def read_content(path: Path) -> str | None:
    """The content in the file's metadata; see :mod:`dlrun.exports.formats`."""
    import openvino

    model = openvino.Core().read_model(str(path))
    return str(model.get_rt_info(KEY).astype(str)) if model.has_rt_info(KEY) else None

"""ONNX, written by torch, and run by onnxruntime."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.exports.content import KEY, Content
from dlrun.exports.formats._torch_program import torch_program

BACKEND = "torch"
NATIVE = ()
NEEDS = {"torch": "torch", "onnx": "export", "onnxruntime": "export", "onnxscript": "export"}
SUFFIX = ".onnx"
RUNTIME = "onnxruntime"
QUANTIZES = ("int8", "float16")
IS_RUN = True
NEEDS_GRAPH = True
MODES = ("float32",)
NOTE = ""
NOISE = ()
OPSET = 20


def write(
    model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
) -> None:
    """Write the file; see :mod:`dlrun.exports.formats`."""
    import torch

    program = torch_program(model, content)
    with _quiet():
        exported = torch.onnx.export(
            program,
            input_names=[one.name for one in content.inputs],
            output_names=[one["name"] for one in content.outputs],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    _save(exported.model_proto, content, path)
    if content.quantize is not None:
        _quantize(path, content, calibration)


def _save(proto: Any, content: Content, path: Path) -> None:
    """Name the free axis, add the content, and write one file, checked."""
    import onnx

    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del proto.graph.value_info[:]  # they name the free axis otherwise
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = KEY, content.to_json()
    onnx.checker.check_model(proto)
    onnx.save_model(proto, str(path))


def _quantize(path: Path, content: Content, calibration: Mapping[str, np.ndarray] | None) -> None:
    """Replace the file by a quantized one."""
    import onnx

    with _quiet():
        if content.quantize == "float16":
            from onnxruntime.transformers.float16 import convert_float_to_float16
            from onnxruntime.transformers.onnx_model import OnnxModel

            halved = convert_float_to_float16(onnx.load(str(path)), keep_io_types=True)
            OnnxModel.graph_topological_sort(halved.graph)  # an input cast twice comes too late
            _save(halved, content, path)
            return
        from onnxruntime.quantization import CalibrationDataReader, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        assert calibration is not None
        size = len(next(iter(calibration.values())))
        batches = iter(
            {name: array[first : first + 32] for name, array in calibration.items()}
            for first in range(0, size, 32)
        )

        class Reader(CalibrationDataReader):
            def get_next(self) -> Any:
                return next(batches, None)

        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            prepared, quantized = Path(folder, "prepared.onnx"), Path(folder, "quantized.onnx")
            quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
            # Products alone: softmax in int8 gives probabilities of 0.
            products = ["Conv", "Gemm", "MatMul"]
            options = {"op_types_to_quantize": products, "per_channel": True}
            # Of 8 bits, sums of products saturate on processors without VNNI instructions.
            options["reduce_range"] = True
            quantize_static(str(prepared), str(quantized), Reader(), **options)
            _save(onnx.load(str(quantized)), content, path)


def open_file(path: Path, mode: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The file in onnxruntime; see :mod:`dlrun.exports.formats`."""
    session = _session(path)
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


def read_content(path: Path) -> str | None:
    """The content in the file's metadata; see :mod:`dlrun.exports.formats`."""
    found: str | None = _session(path).get_modelmeta().custom_metadata_map.get(KEY)
    return found


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of packages that it does not need."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", None)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

"""A program of torch.export, for torch without Keras."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.exports.content import FILE, Content
from dlrun.exports.formats._torch_program import torch_program
from dlrun.exports.formats._zip import read_content
from dlrun.system.process import cores

BACKEND = "torch"
NATIVE = ()
NEEDS = {"torch": "torch"}
SUFFIX = ".pt2"
RUNTIME = "torch.export"
QUANTIZES = ()
IS_RUN = False  # torch.export.load trusts what it reads
NEEDS_GRAPH = True
MODES = ("float32",)
NOTE = "open only .pt2 files that you trust"
NOISE = ()


def write(
    model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
) -> None:
    """Write the file; see :mod:`dlrun.exports.formats`."""
    import torch

    program = torch_program(model, content)
    torch.export.save(program, str(path), extra_files={FILE: content.to_json()})


def open_file(path: Path, mode: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """The file in torch; see :mod:`dlrun.exports.formats`."""
    import torch

    torch.set_num_threads(cores())
    text = read_content(path)
    assert text is not None, "dlrun wrote it"
    content = json.loads(text)
    names = [one["name"] for one in content["inputs"]]
    outputs = [one["name"] for one in content["outputs"]]
    module = torch.export.load(str(path)).module()

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            found = module(*(torch.from_numpy(np.asarray(inputs[name])) for name in names))
        return {name: one.numpy() for name, one in zip(outputs, found, strict=True)}

    return run

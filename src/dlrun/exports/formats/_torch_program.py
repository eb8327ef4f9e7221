"""A Keras model on torch as a program of torch.export, with a free batch size."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from dlrun.exports.content import Content
from dlrun.exports.formats._unroll import unroll


def torch_program(model: Any, content: Content) -> Any:
    """The program: it takes the inputs, and returns the outputs, each in their order.

    Args:
        model: A Keras model on torch.
        content: Names the inputs and outputs.
    """
    import torch

    inputs = content.inputs
    names, outputs = [one.name for one in inputs], [one["name"] for one in content.outputs]

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> tuple[Any, ...]:
            single = len(names) == 1 and not isinstance(model.input, Mapping)
            found = self.model(
                arrays[0] if single else dict(zip(names, arrays, strict=True)), training=False
            )
            return (
                tuple(found[name] for name in outputs) if isinstance(found, Mapping) else (found,)
            )

    # 3 samples: a size that no model's shapes are likely to have, unlike 1 and 2.
    examples = tuple(
        torch.zeros((3, *one.shape), dtype=getattr(torch, one.dtype)) for one in inputs
    )
    batch = torch.export.Dim("batch", min=1)
    # Keras' recurrent loop on torch lists the samples of the batch, which makes their number fixed.
    with unroll(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(
            Module().eval(),
            examples,
            dynamic_shapes=(tuple({0: batch} for _ in examples),),
            strict=False,
        )

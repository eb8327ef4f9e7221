#!/usr/bin/env bash
# torch.onnx leaves out three arguments: a mean by group is the last value of each group in onnxruntime.
#
# torch 2.13.0, onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# What an exporter cannot write it should refuse. The mean of the neighbours of each node of a graph,
# scatter_reduce(reduce="mean"), is written as ScatterElements without a reduction. ONNX asks that no index
# occurs twice there, and does not say what happens if one does; in onnxruntime, the last of the values that
# one node gets stays. avg_pool2d(divisor_override=1), which adds up, is written as an average;
# cross_entropy(label_smoothing=0.1) as a loss without smoothing. The files pass the checker and run, and
# no warning names what was left out.
#
# Seen:
#   scatter_reduce of mean   torch 2 30  onnxruntime 3 60
#   divisor_override of 1    torch 10 18 42 50  onnxruntime 2.5 4.5 10.5 12.5
#   label_smoothing of 0.1   torch 0.373  onnxruntime 0.24
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    torch==2.13.0 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

cat > "$dir/export.py" <<'PYTHON'
import io

import numpy as np
import onnx
import onnxruntime
import torch
from torch.nn import functional as F


class Graph(torch.nn.Module):
    def forward(self, values, nodes):
        return torch.zeros(2).scatter_reduce(0, nodes, values, "mean", include_self=False)


class Pool(torch.nn.Module):
    def forward(self, images):
        return F.avg_pool2d(images, 2, divisor_override=1)


class Loss(torch.nn.Module):
    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, label_smoothing=0.1)


def run(model, inputs):
    file = io.BytesIO()
    torch.onnx.export(model.eval(), inputs, file, verbose=False)
    onnx.checker.check_model(onnx.load_from_string(file.getvalue()), full_check=True)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    arrays = {i.name: tensor.numpy() for i, tensor in zip(session.get_inputs(), inputs, strict=True)}
    return session.run(None, arrays)[0]


def text(result):
    return " ".join(f"{number:.3g}" for number in np.ravel(result))


values, nodes = torch.tensor([1.0, 3, 10, 20, 60]), torch.tensor([0, 0, 1, 1, 1])
images = torch.arange(16.0).reshape(1, 1, 4, 4)
cases = {
    "scatter_reduce of mean": (Graph(), (values, nodes), "3 60"),
    "divisor_override of 1": (Pool(), (images,), "2.5 4.5 10.5 12.5"),
    "label_smoothing of 0.1": (Loss(), (torch.tensor([[2.0, 0, 0]]), torch.tensor([0])), "0.24"),
}
for name, (model, inputs, wrong) in cases.items():
    right, found = text(model(*inputs)), text(run(model, inputs))
    print(f"{name:23}  torch {right}  onnxruntime {found}")
    assert found == wrong != right
PYTHON

"$dir/venv/bin/python" -W always "$dir/export.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
if grep -iE "reduc|divisor|smoothing" "$dir/log"; then  # a warning, or a line of the exporter's log
    echo "what is left out is named"
    exit 1
fi

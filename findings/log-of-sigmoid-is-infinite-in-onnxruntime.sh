#!/usr/bin/env bash
# onnxruntime's Sigmoid of -20 is exactly 0, and torch's logsigmoid becomes minus infinity there.
#
# onnxruntime 1.32.0, onnx 1.23.2, torch 2.13.0, onnxscript 0.7.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# The sigmoid of -20 is 2e-9, far above the smallest number of float32, 1e-45, and torch computes it to seven
# digits. onnxruntime gives 0, and at -17 a value that is twice as large as the right one; in float64, too,
# it gives 0 at -40. It is right to 1e-7 of the largest value, not of each. Two samples of logits -20 and -40
# have the same probability, and the cross-entropy of such a probability is infinite.
#
# torch's logsigmoid and binary_cross_entropy_with_logits are made for such logits. torch.onnx writes both as
# a Sigmoid and a Log, so that the first is -inf and the second inf. Negative probabilities of the same
# Sigmoid are known from other processors: onnxruntime issue 22557.
#
# Seen:
#   logit                          -40        -20        -17        -15
#   sigmoid, torch            4.25e-18   2.06e-09   4.14e-08   3.06e-07
#   sigmoid, onnxruntime             0          0   8.94e-08   3.58e-07
#   logsigmoid, torch              -40        -20        -17        -15
#   logsigmoid, onnxruntime       -inf       -inf      -16.2      -14.8
#   loss, torch                     40         20         17         15
#   loss, onnxruntime              inf        inf       16.2       14.8
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    torch==2.13.0 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

cat > "$dir/sigmoid.py" <<'PYTHON'
import io

import numpy as np
import onnxruntime
import torch
from torch.nn import functional as F

logits = torch.tensor([-40.0, -20, -17, -15])


class Sigmoid(torch.nn.Module):
    def forward(self, logits):
        return torch.sigmoid(logits)


class LogSigmoid(torch.nn.Module):
    def forward(self, logits):
        return F.logsigmoid(logits)


class Loss(torch.nn.Module):
    def forward(self, logits):
        labels = torch.ones_like(logits)
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def run(model, logits):
    file = io.BytesIO()
    torch.onnx.export(model.eval(), (logits,), file, input_names=["logits"], verbose=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    return session.run(None, {"logits": logits.numpy()})[0]


def show(name, numbers):
    print(f"{name:23}", *(f"{number:10.3g}" for number in numbers))


show("logit", logits)
for name, model in (("sigmoid", Sigmoid()), ("logsigmoid", LogSigmoid()), ("loss", Loss())):
    found = run(model, logits)
    show(f"{name}, torch", model(logits))
    show(f"{name}, onnxruntime", found)
    assert torch.isfinite(model(logits)).all()
    if name == "sigmoid":
        assert np.all(found[:2] == 0) and found[3] > 0
        assert model(logits).min() > 4e-18
        assert 1.5 < found[2] / model(logits)[2] < 3
        assert np.abs(found - model(logits).numpy()).max() < 1e-7
        assert run(model, logits.double())[0] == 0
    else:
        assert np.all(np.isinf(found[:2])) and np.isfinite(found[3])
PYTHON

"$dir/venv/bin/python" "$dir/sigmoid.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }

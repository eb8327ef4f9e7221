#!/usr/bin/env bash
# torchmetrics takes errors of 8-bit pixels modulo 256: a mean absolute error of 10 is 125, an R2 above 1.
#
# torchmetrics 1.9.0, torch 2.13.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# Two images in uint8, as they are read and as a model's output is saved, differ by up to 20 in each pixel.
# MeanAbsoluteError is 125, as it is far off wherever the prediction is below the target; MeanSquaredError is
# 78 in place of 140, and R2Score 1.005, where 1 is a perfect prediction. Of the same tensors as float, all
# are as in float64 NumPy, and so is PeakSignalNoiseRatio of both. No warning is given; other metrics, such as
# PearsonCorrCoef, refuse 8 bits with an error.
#
# The difference is taken in the type of the tensors. MeanAbsoluteError is meant to make floats of them, and
# asks preds.is_floating_point, a method, without calling it, which is true of each tensor. Known of
# PeakSignalNoiseRatio alone, which was mended: torchmetrics issue 2787.
#
# Seen, of uint8, of the same as float, and in float64 NumPy:
#   MeanAbsoluteError                          125.3     10.23     10.23
#   MeanSquaredError                           77.86     139.8     139.8
#   R2Score                                    1.005    0.9645    0.9645
#   ExplainedVariance                        0.04644    0.9645    0.9645
#   SymmetricMeanAbsolutePercentageError   7.491e+05    0.1214    0.1214
#   PeakSignalNoiseRatio                       26.68     26.68     26.68
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6

cat > "$dir/metrics.py" <<'PYTHON'
import warnings

import numpy as np
import torch
from torchmetrics.image import PeakSignalNoiseRatio
from torchmetrics.regression import (
    ExplainedVariance,
    MeanAbsoluteError,
    MeanSquaredError,
    R2Score,
    SymmetricMeanAbsolutePercentageError,
)

warnings.simplefilter("error")  # none is given
generator = np.random.default_rng(0)
target = generator.integers(20, 236, 10_000)
predicted = target + generator.integers(-20, 21, 10_000)
errors = predicted - target
squared, variance = (errors**2).mean(), target.var()
exact = {
    MeanAbsoluteError: np.abs(errors).mean(),
    MeanSquaredError: squared,
    R2Score: 1 - squared / variance,
    ExplainedVariance: 1 - errors.var() / variance,
    SymmetricMeanAbsolutePercentageError: (2 * np.abs(errors) / (predicted + target)).mean(),
    PeakSignalNoiseRatio: 10 * np.log10(255**2 / squared),
}
pixels = [torch.tensor(values).to(torch.uint8) for values in (predicted, target)]
for metric, right in exact.items():
    arguments = {"data_range": 255.0} if metric is PeakSignalNoiseRatio else {}
    wrapped = metric(**arguments)(*pixels).item()
    floats = metric(**arguments)(*(tensor.float() for tensor in pixels)).item()
    print(f"{metric.__name__:36}  {wrapped:10.4g}  {floats:8.4g}  {right:8.4g}")
    assert abs(floats / right - 1) < 1e-3
    if metric is not PeakSignalNoiseRatio:
        assert abs(wrapped / right - 1) > 0.02
PYTHON

"$dir/venv/bin/python" "$dir/metrics.py"

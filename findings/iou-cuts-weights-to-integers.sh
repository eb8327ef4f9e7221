#!/usr/bin/env bash
# Keras' IoU metrics cut sample weights to integers: the example in their documentation gives 0.
#
# keras 3.15.1 with jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU. The backend makes no difference.
#
# The docstrings of IoU, BinaryIoU and others have an example with weights between 0.1 and 0.4, and write
# 0.333 and 0.174 below it. What they return is 0: they sum the weights in integers, each of them cut, not
# rounded, so that every sample is left out. A weight of 1.9 counts as 1. Other metrics, such as Precision,
# take fractions. Weights in an array of floats, as fit passes them, bring a UserWarning;
# a list, as in the example, nothing. With dtype="float32" each of them gives what its documentation says.
#
# The default dtype of these metrics is "int", so that they count large numbers of pixels exactly.
#
# Seen:
#                        expected  by default  in float32
#   IoU of class 0          0.333       0.000       0.333
#   BinaryIoU               0.174       0.000       0.174
#   IoU, weights 1.9, 2     0.322       0.200       0.322
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/iou.py" <<'PYTHON'
import warnings
from functools import partial

import keras
import numpy as np


def by_numpy(labels, predicted, weights, classes):
    labels, predicted, weights = np.array(labels), np.array(predicted), np.array(weights)
    scores = []
    for c in classes:
        both, either = (labels == c) & (predicted == c), (labels == c) | (predicted == c)
        scores.append(weights[both].sum() / weights[either].sum())
    return np.mean(scores)


def result(metric, labels, predicted, weights):
    metric.update_state(labels, predicted, sample_weight=weights)
    return float(metric.result())


of_class_0 = partial(keras.metrics.IoU, num_classes=2, target_class_ids=[0])
binary = partial(keras.metrics.BinaryIoU, target_class_ids=[0, 1], threshold=0.3)
labels, predicted = [0, 0, 1, 1], [0, 1, 0, 1]
probabilities = [0.1, 0.2, 0.4, 0.7]
above = [int(p >= 0.3) for p in probabilities]
samples = {
    "IoU of class 0": (of_class_0, labels, predicted, [0.3, 0.3, 0.3, 0.1]),
    "BinaryIoU": (binary, [0, 1, 0, 1], probabilities, [0.2, 0.3, 0.4, 0.1]),
    "IoU, weights 1.9, 2": (of_class_0, labels, predicted, [1.9, 2.0, 2.0, 1.9]),
}
right = [
    by_numpy(labels, predicted, [0.3, 0.3, 0.3, 0.1], [0]),
    by_numpy([0, 1, 0, 1], above, [0.2, 0.3, 0.4, 0.1], [0, 1]),
    by_numpy(labels, predicted, [1.9, 2.0, 2.0, 1.9], [0]),
]
of_integers = [0, 0, by_numpy(labels, predicted, [1, 2, 2, 1], [0])]

print(f"{'':19}  expected  by default  in float32")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    seen = [
        (result(make(), *of), result(make(dtype="float32"), *of))
        for make, *of in samples.values()
    ]
    assert not [w for w in caught if "weight" in str(w.message)]
    make, labels, predicted, weights = samples["IoU of class 0"]
    result(make(), labels, predicted, np.array(weights))
    assert [w for w in caught if "weight" in str(w.message)]
for name, expected, (default, in_float32) in zip(samples, right, seen, strict=True):
    print(f"{name:19}  {expected:8.3f}  {default:10.3f}  {in_float32:10.3f}")
np.testing.assert_allclose(seen, np.transpose([of_integers, right]), atol=1e-5)
PYTHON

cd "$dir"
export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax CUDA_VISIBLE_DEVICES=""
venv/bin/python iou.py 2> log || { cat log; exit 1; }

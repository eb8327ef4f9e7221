#!/usr/bin/env bash
# MeanIoU(ignore_class=0) leaves out the samples of class 0, and counts the class in the mean, as 0.
#
# keras 3.15.1 with jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU. The backend makes no difference.
#
# Two samples each of background, class 1 and class 2; class 1 is found, and one sample of class 2 is taken
# for background. Without the samples of background, the intersection over union is 1 of class 1 and 0.5
# of class 2; the mean is 0.75, in scikit-learn 1.9.1 (jaccard_score) too. MeanIoU and OneHotMeanIoU give
# 0.5. If the sample is taken for class 1 instead, which is as wrong, they give 0.583, more than before.
#
# Once a sample is predicted as the ignored class, that class has a union, so it is one of the classes that
# occur, and no intersection, as its own samples are left out: a 0 among the numbers that are averaged. Of a
# model that never predicts the class the mean is right, as it is with a label beyond the classes, such as
# 255. IoU(3, target_class_ids=[1, 2], ignore_class=0) does what one expects.
#
# Seen:
#   taken for  float64 NumPy  MeanIoU  OneHotMeanIoU  IoU of 1 and 2
#   class 0            0.750    0.500          0.500           0.750
#   class 1            0.583    0.583          0.583           0.583
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/iou.py" <<'PYTHON'
import keras
import numpy as np

labels = np.array([0, 0, 1, 1, 2, 2], dtype="int32")


def expected(predicted):
    counted = labels != 0
    true, found = labels[counted], predicted[counted]
    either = [np.sum((true == c) | (found == c)) for c in (1, 2)]
    both = [np.sum((true == c) & (found == c)) for c in (1, 2)]
    return np.mean(np.divide(both, either))


def result(metric, predicted):
    one_hot = isinstance(metric, keras.metrics.OneHotMeanIoU)
    rows = np.eye(3, dtype="float32")
    metric.update_state(*([rows[labels], rows[predicted]] if one_hot else [labels, predicted]))
    return float(metric.result())


print("taken for  float64 NumPy  MeanIoU  OneHotMeanIoU  IoU of 1 and 2")
seen = {}
for taken_for in (0, 1):
    predicted = np.array([0, 1, 1, 1, 2, taken_for], dtype="int32")
    mean = result(keras.metrics.MeanIoU(3, ignore_class=0), predicted)
    one_hot = result(keras.metrics.OneHotMeanIoU(3, ignore_class=0), predicted)
    of_two = result(keras.metrics.IoU(3, [1, 2], ignore_class=0), predicted)
    right = expected(predicted)
    print(f"class {taken_for}  {right:15.3f}  {mean:7.3f}  {one_hot:13.3f}  {of_two:14.3f}")
    seen[taken_for] = (right, mean, one_hot, of_two)
np.testing.assert_allclose(seen[0], [0.75, 0.5, 0.5, 0.75], atol=1e-6)
np.testing.assert_allclose(seen[1], [7 / 12] * 4, atol=1e-6)
PYTHON

cd "$dir"
export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax CUDA_VISIBLE_DEVICES=""
venv/bin/python iou.py 2> log || { cat log; exit 1; }

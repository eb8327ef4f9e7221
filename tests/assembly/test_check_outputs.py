"""Outputs, labels, losses and metrics that do not match are refused."""

import numpy as np
import pytest

from dlrun.assembly.check_outputs import check_outputs
from dlrun.config.compose import compose
from dlrun.data.dataset import Dataset, Split
from dlrun.errors import DlrunError

NUMBERS = np.arange(12) % 4
COLUMN = NUMBERS[:, None]
ONE_HOT = np.eye(4, dtype=np.float32)[NUMBERS]
MAPS = np.zeros((12, 5, 5), int)


def check(labels, output, *overrides, num_classes=4):
    split = Split(np.zeros((12, 3), np.float32), labels)
    data = Dataset(split, split, split, num_classes)
    check_outputs(compose(overrides), data.spec, np.zeros((1, *output)))


@pytest.mark.parametrize("labels", [NUMBERS, COLUMN])
@pytest.mark.parametrize(
    "override",
    [
        "task.loss=mse",  # jax accepts it for a column, or for a batch of four
        "task.loss=MeanAbsoluteError",
        "task.loss={_target_:keras.losses.MeanSquaredError}",
        "task.loss={_target_:keras.losses.CategoricalCrossentropy,from_logits:true}",
        "task.loss=binary_crossentropy",
        "+task.metrics.mae=mae",
        "+task.metrics.top={_target_:keras.metrics.CategoricalAccuracy}",
    ],
)
def test_class_numbers_are_not_compared_with_logits_elementwise(labels, override):
    with pytest.raises(DlrunError, match="takes labels of shape") as caught:
        check(labels, (4,), override)
    key = override.lstrip("+").partition("=")[0]
    assert caught.value.message.startswith(f"{key}: ")
    assert "for the model's outputs, (samples, 4)" in caught.value.message


@pytest.mark.parametrize(
    ("labels", "output", "overrides", "num_classes"),
    [
        (NUMBERS, (4,), (), 4),
        (COLUMN, (4,), (), 4),
        (NUMBERS, (7,), (), 4),  # more logits than classes
        (MAPS, (5, 5, 4), (), 4),  # a class for each place
        (NUMBERS, (4,), ("loss=mean_squared_error", "+metrics=auc"), 4),
        (ONE_HOT, (4,), ("loss=mean_squared_error", "metrics=auc"), 4),
        (ONE_HOT, (4,), ("task.loss=mse", "metrics=[]", "+task.metrics.mae=mae"), 4),
        (NUMBERS, (1,), ("task=regression",), 1),
        (COLUMN, (1,), ("task=regression",), 1),
        (COLUMN, (), ("task.loss=mse", "metrics=[]"), 1),
        (NUMBERS % 2, (1,), ("task=binary_classification",), 2),
        (NUMBERS, (4,), ("task.loss={_target_:my_losses.MeanSquaredError}",), 4),
        (NUMBERS, (4,), ("task.loss=mse", "loop=train_step", "loop.step._target_=my.Own"), 4),
    ],
)
def test_matching_labels_and_outputs_pass(labels, output, overrides, num_classes):
    check(labels, output, *overrides, num_classes=num_classes)


@pytest.mark.parametrize(
    ("labels", "output", "overrides", "message"),
    [
        (NUMBERS, (3,), (), "needs 4 logits for 4 classes, but the model returns 3"),
        (NUMBERS, (1,), ("task=binary_classification",), "needs 4 logits"),
        (NUMBERS, (5, 5, 4), (), "the data set's have (samples,)"),
        (ONE_HOT, (4,), (), "takes labels of shape (samples,)"),
        (ONE_HOT, (1,), ("task=regression",), "of shape (samples, 1)"),
        (COLUMN, (1,), ("task.loss=mse", "metrics=[]"), "softmax of the model's only value"),
    ],
)
def test_a_mismatch_is_reported(labels, output, overrides, message):
    with pytest.raises(DlrunError) as caught:
        check(labels, output, *overrides)
    assert message in caught.value.message

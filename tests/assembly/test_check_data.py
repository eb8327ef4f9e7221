"""An unusable data set is refused before the first step."""

import logging
import re
from dataclasses import replace

import numpy as np
import pytest

from dlrun.assembly.check_data import check_data
from dlrun.config.compose import compose
from dlrun.data.dataset import Dataset, Split
from dlrun.data.targets import Target
from dlrun.errors import DlrunError
from trainings import BACKENDS, Refused, worker

CONFIG = compose([])
NUMBER = compose(["task=least_squares"])  # mean squared error, one number


def dataset(**changes) -> Dataset:
    """Twelve samples of three numbers and four classes; changes apply to every split."""
    split = Split(np.zeros((12, 3), np.float32), np.arange(12) % 4)
    fields = {k: changes.pop(k) for k in ("train", "validation", "test") if k in changes}
    whole = dict.fromkeys(("train", "validation", "test"), split) | fields
    return Dataset(**whole, **{"num_classes": 4} | changes)


def changed(array, place, value):
    """A copy with one value replaced."""
    array = np.array(array)
    array[place] = value
    return array


def refused(data, config=CONFIG) -> str:
    """The error message and its hint."""
    with pytest.raises(DlrunError) as caught:
        check_data(data, config)
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(f"data: {config.data['_target_']}: ")
    assert "\n" not in caught.value.message
    return f"{caught.value.message}; {caught.value.hint}"


SAMPLES, LABELS = dataset().train.inputs, dataset().train.labels


def test_a_valid_data_set_passes_without_a_warning(caplog):
    check_data(dataset(), CONFIG)
    check_data(dataset(validation=Split(np.zeros((0, 3)), np.zeros(0, int))), CONFIG)
    check_data(dataset(train=Split(np.zeros((12, 3), np.uint8), LABELS.astype(np.int8))), CONFIG)
    one_hot = Split(SAMPLES, np.eye(4, dtype=np.float32)[LABELS])
    check_data(
        dataset(train=one_hot, validation=one_hot, test=one_hot), compose(["loss=kl_divergence"])
    )
    number = Split(SAMPLES, np.linspace(-300, 900, 12)[:, None])
    check_data(dataset(train=number, validation=number, test=number, num_classes=1), NUMBER)
    assert caplog.records == []


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(split, value):
    bad = Split(changed(SAMPLES, (7, 1), value), LABELS)
    assert f"{split}.inputs[7, 1] is {value}; remove the sample" in refused(dataset(**{split: bad}))


def test_a_double_that_is_infinite_in_float32():
    bad = Split(changed(SAMPLES.astype(np.float64), (2, 0), 1e39), LABELS)
    assert "train.inputs[2, 0] is 1e+39, more than float32" in refused(dataset(train=bad))


def test_labels_that_are_not_finite():
    numbers = Split(SAMPLES, np.zeros((12, 1), np.float32))
    bad = Split(SAMPLES, changed(numbers.labels, (3, 0), np.nan))
    data = dataset(train=numbers, validation=bad, test=numbers, num_classes=1)
    assert "validation.labels[3, 0] is nan" in refused(data, NUMBER)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (changed(LABELS, 5, 4), "labels[5] is 4: expected a class number from 0 to 3; num_classes"),
        (changed(LABELS, 5, -1), "labels[5] is -1: expected a class number from 0 to 3"),
        (LABELS + 1, "labels[3] is 4: expected a class number from 0 to 3; classes start at 0"),
        (changed(LABELS[:, None], (5, 0), 9), "labels[5, 0] is 9: expected a class number"),
        (LABELS.astype(np.float32), "has dtype float32: expected integers, as num_classes=4"),
        (LABELS / 2, "class numbers; to predict a number, set num_classes=1 and task=regression"),
        (LABELS == 1, "labels has dtype bool: expected integers or floats; array.astype('uint8')"),
        (LABELS.astype(str), "expected integers or floats; number the classes from 0"),
        (LABELS.astype(object), "labels has dtype object: expected integers or floats"),
    ],
)
def test_labels_that_name_no_class(labels, message):
    split = Split(SAMPLES, labels)
    assert message in refused(dataset(train=split, validation=split, test=split))
    assert "test.labels" in refused(dataset(test=split))


def test_binary_and_numeric_labels_out_of_range():
    binary = compose(["task=binary_classification"])
    split = Split(SAMPLES, changed(LABELS % 2, 4, -1))
    data = dataset(train=split, validation=split, test=split, num_classes=1)
    assert "train.labels[4] is -1; binary cross-entropy expects" in refused(data, binary)
    large = Split(SAMPLES, changed(LABELS, 4, 2**40))
    data = dataset(train=large, validation=large, test=large, num_classes=1)
    assert f"train.labels[4] is {2**40}; labels must fit in int32" in refused(data, NUMBER)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (SAMPLES.astype(object), "train.inputs has dtype object: expected integers or floats"),
        (SAMPLES.astype(str), "train.inputs has dtype <U32: expected integers or floats"),
        (SAMPLES.astype(complex), "train.inputs has dtype complex128"),
        (SAMPLES == 0, "train.inputs has dtype bool"),
    ],
)
def test_inputs_that_are_not_numbers(inputs, message):
    assert message in refused(dataset(train=Split(inputs, LABELS)))


def test_classes_that_are_evaluated_but_not_trained_on_are_told(caplog):
    some = Split(SAMPLES, LABELS % 3)
    check_data(dataset(train=some, validation=some), CONFIG)
    assert caplog.messages == ["test.labels has class 3, which no training sample has"]
    caplog.clear()
    target = Target("multilabel", ("tags",), tuple("abcd"))
    tags, no_tags = np.eye(4, dtype=np.uint8)[LABELS], np.eye(4, dtype=np.uint8)[LABELS % 2]
    splits = {"train": Split(SAMPLES, no_tags), "validation": Split(SAMPLES, tags)}
    config = compose(["task=multilabel"])
    check_data(dataset(**splits, test=Split(SAMPLES, no_tags), targets=target), config)
    assert caplog.messages == ["validation.labels has classes c, d, which no training sample has"]
    caplog.clear()
    sick, well = (Split(SAMPLES, np.full((12, 1), value)) for value in (1, 0))
    binary = dataset(train=well, test=sick, validation=well, num_classes=1)
    check_data(binary, compose(["task=binary_classification"]))
    assert caplog.messages == ["test.labels has class 1, which no training sample has"]


def test_masked_values_are_no_data():
    masked = Split(np.ma.masked_equal(SAMPLES, SAMPLES[3, 1]), LABELS)
    assert "train.inputs has masked values" in refused(dataset(train=masked))
    check_data(dataset(train=Split(np.ma.masked_equal(SAMPLES, np.pi), LABELS)), CONFIG)


def test_splits_that_do_not_match():
    narrow = Split(SAMPLES[:, :2], LABELS)
    assert "test.inputs has shape (12, 2), train.inputs (12, 3)" in refused(dataset(test=narrow))
    column = Split(SAMPLES, LABELS[:, None])
    assert "test.labels has shape (12, 1), train.labels (12,)" in refused(dataset(test=column))
    floats = Split(SAMPLES, LABELS.astype(float))
    assert "test.labels has dtype float64, train.labels int64" in refused(dataset(test=floats))
    named = Split({"a": SAMPLES, "b": SAMPLES}, LABELS)
    assert "test.inputs has a, b, train.inputs has one array" in refused(dataset(test=named))


def test_an_array_among_several_is_named():
    sound = Split({"a": SAMPLES, "b": SAMPLES}, LABELS)
    bad = Split({"a": SAMPLES, "b": changed(SAMPLES, (1, 2), np.nan)}, LABELS)
    data = dataset(train=sound, validation=sound, test=bad)
    assert "test.inputs['b'][1, 2] is nan" in refused(data)


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_split(split):
    assert f"the {split} split is empty" in refused(dataset(**{split: dataset().train[:0]}))


def test_an_invalid_data_set():
    assert "returned tuple; return a dlrun.data.dataset.Dataset" in refused((SAMPLES, LABELS))
    assert "validation is NoneType" in refused(dataset(validation=None))
    assert "num_classes is 0" in refused(dataset(num_classes=0))
    assert "num_classes is for a, b, train.labels has one" in refused(
        dataset(num_classes={"a": 1, "b": 2})
    )
    assert "scale is 0" in refused(replace(dataset(), scale=0))


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (SAMPLES, LABELS[:-1], r"shapes \(12, 3\), \(11,\)"),
        (SAMPLES.tolist(), LABELS, "got list"),
        (SAMPLES, np.int64(3), "got a scalar"),
    ],
)
def test_a_split_is_arrays_of_one_length(inputs, labels, message):
    with pytest.raises(DlrunError, match=message):
        Split(inputs, labels)


@pytest.mark.parametrize(
    ("inputs", "scale", "warned"),
    [
        (np.full((12, 4, 4), 255, np.uint8), 1, True),
        (np.full((12, 4, 4), 255, np.uint8), 255, False),
        (np.full((12, 4), 255.0, np.float32), 1, True),
        (np.full((12, 4), 255.0, np.float32), 255, True),  # scale applies to integers only
        (np.full((12, 4), 1.0, np.float32), 1, False),
        (np.full((12, 4), 200, np.int64), 1, False),  # such as word indices
        (np.linspace(-255, 255, 48).reshape(12, 4), 1, False),
        (np.full((12, 4), 4000.0), 1, False),
    ],
)
def test_unscaled_pixels_log_a_warning(caplog, inputs, scale, warned):
    split = Split(inputs, LABELS)
    with caplog.at_level(logging.WARNING, "dlrun"):
        check_data(dataset(train=split, validation=split, test=split, scale=scale), CONFIG)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    assert all("train.inputs goes up to 255" in record.message for record in caplog.records)


OWN = """
import numpy as np
from dlrun.data.dataset import Dataset, Split

def mine(*, bad=None):
    inputs, labels = np.random.default_rng(0).random((64, 4)), np.arange(64) % 3
    if bad == "input":
        inputs[5, 2] = np.inf
    if bad == "label":
        labels[7] = 3
    split = Split(inputs, labels)
    return Dataset(split, split, split, num_classes=3)
"""


@pytest.fixture
def own(tmp_path):
    """A directory with a user-defined data set."""
    (tmp_path / "configs" / "data").mkdir(parents=True)
    (tmp_path / "configs" / "data" / "mine.yaml").write_text(
        "# Mine.\n_target_: my_data.mine\nbad: null\n"
    )
    (tmp_path / "my_data.py").write_text(OWN)
    return tmp_path


@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_users_own_data_set_is_refused_before_a_run_begins(own, backend):
    for bad, message in (("input", "train.inputs[5, 2] is inf"), ("label", "train.labels[7] is 3")):
        with pytest.raises(Refused, match=re.escape(f"data: my_data.mine: {message}")) as caught:
            worker(backend).train(own, "data=mine", f"data.bad={bad}")
        assert caught.value.exit_code == 2
    for override in ("task.loss=mse", "+task.metrics.mae=mae"):
        with pytest.raises(Refused, match="takes labels of shape"):
            worker(backend).train(own, "data=mine", override)
    assert not (own / "runs").exists()


@pytest.mark.trains
def test_evaluation_refuses_it_too(own):
    run = worker("jax").train(own, "data=mine", "epochs=1", "batch_size=3")["path"]
    with pytest.raises(Refused, match="is inf"):
        worker("jax").evaluate(own, run, "data.bad=input")


def weighted(weights, labels=LABELS) -> Dataset:
    sound = Split(SAMPLES, labels)
    return dataset(train=Split(SAMPLES, labels, weights), validation=sound, test=sound)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (changed(np.ones(12), 5, -1), "train.weights[5] is -1.0; a weight is a number from 0"),
        (changed(np.ones(12), 5, np.nan), "train.weights[5] is nan; a weight is a number from 0"),
        (changed(np.ones(12, int), 5, -1), "train.weights[5] is -1; a weight is a number from 0"),
        (np.zeros(12), "train.weights are all 0, so no sample counts"),
        (np.ones((12, 1)), "has shape (12, 1): expected (12,), one for each sample; weights[:, 0]"),
        (np.ones((12, 12)), "has shape (12, 12): expected (12,), one for each sample"),
        (np.ones(12, bool), "train.weights has dtype bool: expected numbers"),
        ({"a": np.ones(12)}, "train.weights is for a, train.labels has one array"),
    ],
)
def test_weights_that_would_make_no_loss(weights, message):
    assert message in refused(weighted(weights))


def test_weights_of_no_output():
    labels = {"a": LABELS, "b": LABELS}
    config = compose(["task=tickets", "model=ticket_classifier", "task.monitor=loss"])
    split = Split(SAMPLES, labels, {"c": np.ones(12)})
    data = Dataset(split, Split(SAMPLES, labels), split, num_classes={"a": 4, "b": 4})
    assert "train.weights['c']: train.labels has a, b" in refused(data, config)


def test_weights_may_be_integers_and_0():
    check_data(weighted(np.arange(12)), CONFIG)
    check_data(weighted(np.ones(12, np.float32)), CONFIG)

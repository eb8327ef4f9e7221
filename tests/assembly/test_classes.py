"""Weights of classes and sampling, from the labels of the training split."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from dlrun.assembly.classes import (
    as_config,
    class_sampling,
    class_weights,
    recorded_weights,
    samples_weights,
)
from dlrun.config.compose import compose
from dlrun.data.dataset import Dataset, Split
from dlrun.data.targets import Target
from dlrun.errors import DlrunError

LABELS = np.array([0] * 6 + [1] * 3 + [4] * 1)
BINARY = compose(["task=binary_classification", "task.class_weight=balanced"])


def dataset(labels=LABELS, num_classes=5, **splits) -> Dataset:
    split = Split(np.zeros((len(labels), 2)), np.asarray(labels))
    whole = dict.fromkeys(("train", "validation", "test"), split)
    return Dataset(**whole | splits, num_classes=num_classes)


def refused(function, data, config) -> str:
    with pytest.raises(DlrunError) as caught:
        function(data, config)
    assert "\n" not in caught.value.message
    return f"{caught.value.message}; {caught.value.hint}"


def test_balanced_weights_are_scikit_learns():
    config, classes = compose(["task.class_weight=balanced"]), np.unique(LABELS)
    other = Split(np.zeros((3, 2)), np.array([4, 4, 1]))  # only the training split counts
    data = dataset(test=other)
    expected = compute_class_weight("balanced", classes=classes, y=LABELS)
    weights = class_weights(data, config)
    assert weights[None] == pytest.approx(dict(zip(classes.tolist(), expected, strict=True)))
    of_samples = samples_weights(None, "test", weights[None], data, config)
    np.testing.assert_allclose(of_samples, expected[[2, 2, 1]], rtol=1e-6)
    assert of_samples.dtype == np.float32
    # As a run records them, they are the same again.
    recorded = replace(config.task, class_weight=as_config(weights, data))
    assert class_weights(data, replace(config, task=recorded)) == weights


def test_classes_of_ones_own_data_are_meant_by_name():
    def weights(classes: tuple[str, ...], given: str) -> dict[int, float]:
        data = dataset(np.arange(6) % len(classes), len(classes))
        data = replace(data, targets=Target("classification", ("kind",), classes))
        config = compose([f"task.class_weight={given}"])
        found = class_weights(data, config)
        recorded = replace(config.task, class_weight=as_config(found, data))
        assert class_weights(data, replace(config, task=recorded)) == found
        return found[None]

    assert weights(("big", "small"), "{small: 5, big: 1}") == {1: 5, 0: 1}
    assert weights(("big", "small"), "{0: 1, 1: 5}") == {0: 1, 1: 5}
    assert weights(("1", "2", "3"), "{1: 1, 2: 2, 3: 3}") == {0: 1, 1: 2, 2: 3}
    assert weights(("false", "true"), "{true: 5, false: 1}") == {1: 5, 0: 1}
    for given, problem in (
        ("{big: 1, smal: 5}", "no class smal: the classes are big, small; did you mean small?"),
        ("{big: 1}", "no weight for class small of train.labels"),
        ("{0: 1, 2: 5}", "no class 2: the classes are big, small"),
    ):
        with pytest.raises(DlrunError) as caught:
            weights(("big", "small"), given)
        assert problem in f"{caught.value.message}; {caught.value.hint}"


@pytest.mark.parametrize("labels", [LABELS % 4 > 0, (LABELS % 4 > 0)[:, None]])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("num_classes", [1, 2])
def test_binary_labels_are_classes(labels, dtype, num_classes):
    data = dataset(labels.astype(dtype), num_classes)
    weights = class_weights(data, BINARY)[None]
    assert weights == pytest.approx({0: 10 / (2 * 7), 1: 10 / (2 * 3)})
    assert samples_weights(None, "test", weights, data, BINARY).shape == (10,)


def test_classes_without_a_weight_are_named():
    given = compose(["task.class_weight={0: 1, 3: 2}"])
    message = "task.class_weight: no weight for classes 1, 4 of train.labels"
    assert refused(class_weights, dataset(), given).startswith(message)
    balanced = compose(["task.class_weight=balanced"])
    data = dataset(validation=Split(np.zeros((2, 2)), np.array([2, 1])))
    message = "class 2 of validation.labels occurs in no training sample"
    assert message in refused(class_weights, data, balanced)
    too_many = compose(["task.class_weight={0: 1, 1: 1, 4: 1, 5: 1}"])
    message = "there is no class 5: the classes are 0 to 4"
    assert message in refused(class_weights, dataset(), too_many)


@pytest.mark.parametrize("key", ["class_weight=balanced", "sampling=oversample"])
def test_labels_that_are_no_class_numbers_are_refused(key):
    function = class_weights if "balanced" in key else class_sampling
    typed = f"task.{key}"
    several = dataset(np.eye(3, dtype=int)[[0, 1, 2]], 3)
    one_hot = [typed, "task.loss._target_=keras.losses.CategoricalCrossentropy"]
    message = "train.labels has shape (3, 3), and its columns are not one class number"
    assert message in refused(function, several, compose(one_hot))
    numbers = dataset(np.array([0.0, 1.0, 2.5])[:, None], 1)
    config = compose([typed, "task=regression"])
    assert "has the value 2.5, so they are not class numbers" in refused(function, numbers, config)


def test_a_step_of_a_sequence_has_the_weight_of_its_class_and_is_not_drawn():
    data = dataset(np.array([[0, 1], [1, 1], [0, 2]]), 3)
    config = compose(["task.class_weight={0: 1, 1: 2, 2: 7}"])
    weights = class_weights(data, config)[None]
    of_steps = samples_weights(None, "train", weights, data, config)
    np.testing.assert_array_equal(of_steps, [[1, 2], [2, 2], [1, 7]])
    config = compose(["task.sampling=undersample"])
    assert "several classes for each sample" in refused(class_sampling, data, config)


def test_sampling_follows_the_classes_of_one_output():
    overrides = ["model=ticket_classifier", "task=tickets", "task.monitor=loss"]
    config = compose([*overrides, "task.sampling={department: undersample}"])
    labels = {"priority": np.zeros((10, 1)), "department": LABELS}
    split = Split(np.zeros((10, 2)), labels)
    data = Dataset(split, split, split, num_classes={"priority": 1, "department": 5})
    assert class_sampling(data, config).samples == 3
    assert class_sampling(data, compose(overrides)) is None


LABELS_OF_THREE = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1], [1, 0, 0]])


def test_each_of_several_labels_is_balanced_alone_as_scikit_learn_does():
    targets = Target("multilabel", ("genres",), ("drama", "war", "comedy"))
    data = replace(dataset(LABELS_OF_THREE, 3), targets=targets)
    config = compose(["task=multilabel", "task.class_weight=balanced"])
    weights = class_weights(data, config)
    of_labels = samples_weights(None, "test", weights[None], data, config)
    expected = [compute_sample_weight("balanced", column) for column in LABELS_OF_THREE.T]
    np.testing.assert_allclose(of_labels, np.stack(expected, axis=1), rtol=1e-6)
    recorded = replace(config.task, class_weight=as_config(weights, data))
    assert list(recorded.class_weight) == ["drama", "war", "comedy"]
    assert class_weights(data, replace(config, task=recorded)) == weights


def test_a_weight_of_several_labels_is_of_the_samples_with_the_class():
    data = dataset(LABELS_OF_THREE, 3)
    config = compose(["task=multilabel", "task.class_weight={0: 1, 1: 4, 2: [0.5, 3]}"])
    weights = class_weights(data, config)
    of_labels = samples_weights(None, "train", weights[None], data, config)
    np.testing.assert_array_equal(of_labels[:2], [[1, 1, 0.5], [1, 4, 0.5]])
    too_few = compose(["task=multilabel", "task.class_weight={0: 1, 1: 4}"])
    assert "no weight for class 2 of train.labels" in refused(class_weights, data, too_few)
    of_one = compose(["task.class_weight={0: 1, 1: [1, 5], 4: 2}"])
    assert "are for samples of any number of classes" in refused(class_weights, dataset(), of_one)


def test_several_labels_that_can_not_be_balanced_or_drawn_are_refused():
    config = compose(["task=multilabel", "task.class_weight=balanced"])
    only_test = dataset(LABELS_OF_THREE[:3], 3, test=Split(np.zeros((1, 2)), np.ones((1, 3), int)))
    message = "class 2 is in no training sample, but not so in test.labels"
    assert message in refused(class_weights, only_test, config)
    drawn = compose(["task=multilabel", "task.sampling=oversample"])
    message = refused(class_sampling, dataset(LABELS_OF_THREE, 3), drawn)
    assert "several classes for each sample" in message
    assert "task.class_weight=balanced" in message


def test_recorded_weights_are_1_for_a_class_that_has_none():
    data = dataset(np.array([0, 1, 2, 4]))
    config = compose(["task.class_weight={0: 3, 1: 5}"])
    weights, notes = recorded_weights(data, config, "--data o.npz")
    assert weights == {None: {0: 3, 1: 5, 2: 1, 4: 1}}
    assert notes == ["--data o.npz: classes 2, 4 have no weight in task.class_weight, and count 1"]
    none = compose(["task.class_weight=balanced"])
    weights, [note] = recorded_weights(data, none, "--data o.npz")
    assert weights == {}
    assert "no weights, so the classes of --data o.npz are not weighted" in note
    several = dataset(LABELS_OF_THREE, 3)
    config = compose(["task=multilabel", "task.class_weight={0: 2, 1: [0.5, 3]}"])
    weights, [note] = recorded_weights(several, config, "--data o.npz")
    assert weights == {None: {0: (1, 2), 1: (0.5, 3), 2: (1, 1)}}
    assert "class 2 has no weight" in note


def test_labels_of_a_file_that_are_no_class_numbers_name_it():
    data = dataset(np.array([0.0, 1.0, 2.5])[:, None], 1)
    config = compose(["task=regression", "task.class_weight={0: 1, 1: 2}"])
    message = refused(lambda *of: recorded_weights(*of, "--data o.npz"), data, config)
    assert message.startswith("task.class_weight: --data o.npz: labels has the value 2.5")
    assert "; correct them; " in message

"""The generated support tickets."""

import numpy as np
import pytest

from dlrun.data.dataset import Dataset, Split
from dlrun.data.tickets import tickets


def arrays(split: Split) -> dict[str, np.ndarray]:
    return {**split.inputs, **split.labels}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tickets(difficulty=True)


def test_sizes_shapes_and_dtypes_match_the_book(data: Dataset) -> None:
    assert [len(s) for s in (data.train, data.validation, data.test)] == [1280, 320, 320]
    assert data.input_shape == {"title": (10_000,), "text_body": (10_000,), "tags": (100,)}
    assert data.num_classes == {"priority": 1, "department": 4, "difficulty": 3}
    assert {array.dtype for array in data.train.inputs.values()} == {np.dtype(np.uint8)}
    assert {int(value) for a in data.train.inputs.values() for value in np.unique(a)} == {0, 1}
    labels = data.train.labels
    assert (labels["priority"].shape, labels["priority"].dtype) == ((1280, 1), np.float32)
    assert labels["priority"].min() >= 0
    assert labels["priority"].max() <= 1
    assert sorted(set(labels["department"].tolist())) == [0, 1, 2, 3]
    assert sorted(set(labels["difficulty"].tolist())) == [0, 1, 2]


def test_the_tickets_are_a_function_of_the_seed(data: Dataset) -> None:
    same, other = tickets(difficulty=True), tickets(seed=1)
    for name, array in arrays(data.test).items():
        np.testing.assert_array_equal(arrays(same.test)[name], array)
    assert (other.train.inputs["text_body"] != data.train.inputs["text_body"]).any()


def test_each_split_is_drawn_independently(data: Dataset) -> None:
    fewer = tickets(difficulty=True, validation_samples=0, train_samples=10)
    assert [len(s) for s in (fewer.train, fewer.validation, fewer.test)] == [10, 0, 320]
    for name, array in arrays(data.test).items():
        np.testing.assert_array_equal(arrays(fewer.test)[name], array)
    train, test = (split.inputs["text_body"][:320] for split in (data.train, data.test))
    assert (train != test).any(axis=1).all()


def test_the_third_label_does_not_change_the_others(data: Dataset) -> None:
    two = tickets()
    assert two.num_classes == {"priority": 1, "department": 4}
    for name, array in arrays(two.train).items():
        np.testing.assert_array_equal(arrays(data.train)[name], array)


def test_a_limit_keeps_the_first_of_each_split(data: Dataset) -> None:
    limited = tickets(difficulty=True, limit=7)
    for split in ("train", "validation", "test"):
        for name, array in arrays(limited.split(split)).items():
            np.testing.assert_array_equal(array, arrays(data.split(split))[name][:7])


def linear(data: Dataset, target: np.ndarray) -> np.ndarray:
    """Predictions of a ridge regression, trained on the training tickets, for the test tickets."""
    train, test = (
        np.concatenate([np.ones((len(s), 1)), *s.inputs.values()], axis=1, dtype=np.float64)
        for s in (data.train, data.test)
    )
    kernel = train @ train.T
    kernel[np.diag_indices_from(kernel)] += 100
    return test @ (train.T @ np.linalg.solve(kernel, target))


def test_the_department_follows_from_the_inputs(data: Dataset) -> None:
    scores = linear(data, np.eye(4)[data.train.labels["department"]])
    right = scores.argmax(axis=1) == data.test.labels["department"]
    assert 0.9 < right.mean() < 1  # a twentieth of the labels is noise


def test_the_priority_follows_from_the_inputs(data: Dataset) -> None:
    priority = data.test.labels["priority"][:, 0]
    predicted = linear(data, data.train.labels["priority"])[:, 0]
    assert np.corrcoef(predicted, priority)[0, 1] > 0.7


def test_the_difficulty_follows_from_the_inputs(data: Dataset) -> None:
    scores = linear(data, np.eye(3)[data.train.labels["difficulty"]])
    difficulty = data.test.labels["difficulty"]
    most = np.bincount(difficulty).max() / len(difficulty)
    assert (scores.argmax(axis=1) == difficulty).mean() > most + 0.15


def test_other_sizes() -> None:
    small = tickets(vocabulary_size=3, num_tags=2, num_departments=300, train_samples=1)
    assert small.input_shape == {"title": (3,), "text_body": (3,), "tags": (2,)}
    assert small.num_classes["department"] == 300
    assert small.test.labels["department"].max() > 255

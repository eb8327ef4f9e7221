"""The order of the batches."""

from dataclasses import replace

import numpy as np
import pytest

from dlrun.data.batches import Batches, permutation
from dlrun.data.dataset import Dataset, Split
from dlrun.data.fingerprint import fingerprint
from dlrun.errors import DlrunError


@pytest.fixture
def data() -> Dataset:
    """Ten samples labelled with their index."""
    split = Split(np.arange(20, dtype=np.uint8).reshape(10, 2), np.arange(10, dtype=np.uint8))
    return Dataset(train=split, validation=split, test=split, num_classes=10)


def epoch_of(batches: Batches, epoch: int) -> list[list[int]]:
    batches.start_epoch(epoch)
    return [batches[index][1].tolist() for index in range(len(batches))]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    np.random.seed(1)
    first = permutation(7, 3, 1000)
    np.random.seed(2)
    np.testing.assert_array_equal(permutation(7, 3, 1000), first)
    for seed, epoch in ((7, 4), (8, 3), (3, 7)):
        assert (permutation(seed, epoch, 1000) != first).mean() > 0.9


def test_the_order_is_the_same_in_every_version() -> None:
    # Resumed runs and other backends rely on it.
    assert permutation(0, 0, 8).tolist() == [2, 4, 3, 6, 5, 0, 1, 7]


def test_the_order_has_each_sample_once() -> None:
    assert sorted(permutation(0, 0, 1000)) == list(range(1000))


def test_an_epoch_has_each_sample_once_with_its_own_input(data: Dataset) -> None:
    batches = Batches(data, data.train, 3, seed=0)
    batches.start_epoch(0)
    seen = [batches[index] for index in range(len(batches))]
    assert sorted(np.concatenate([labels for _, labels in seen])) == list(range(10))
    for inputs, labels in seen:
        np.testing.assert_array_equal(inputs[:, 0], 2 * labels)


def test_the_last_batch_has_what_is_left(data: Dataset) -> None:
    batches = Batches(data, data.train, 4, seed=0)
    assert [len(batch) for batch in epoch_of(batches, 0)] == [4, 4, 2]
    assert (len(batches), batches.samples) == (3, 10)


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 10), (5, 2), (10, 1), (11, 1)])
def test_the_batches_hold_all_samples(data: Dataset, batch_size: int, expected: int) -> None:
    assert len(Batches(data, data.train, batch_size)) == expected


def test_an_epoch_is_the_same_whenever_it_is_started(data: Dataset) -> None:
    first = Batches(data, data.train, 3, seed=5)
    expected = [epoch_of(first, epoch) for epoch in range(4)]
    resumed = Batches(data, data.train, 3, seed=5)
    assert epoch_of(resumed, 3) == expected[3]
    assert epoch_of(resumed, 1) == expected[1]
    assert len({str(order) for order in expected}) == 4


def test_the_batch_size_does_not_change_the_order(data: Dataset) -> None:
    orders = [epoch_of(Batches(data, data.train, size, seed=5), 0) for size in (1, 3, 10)]
    assert len({tuple(place for batch in order for place in batch) for order in orders}) == 1


def test_without_a_seed_the_order_is_the_splits_own(data: Dataset) -> None:
    assert epoch_of(Batches(data, data.train, 4), 3) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_batch_outside_the_epoch(data: Dataset, index: int) -> None:
    with pytest.raises(IndexError):
        Batches(data, data.train, 4)[index]


# Named arrays


@pytest.fixture
def named() -> Dataset:
    """Ten samples of two inputs and two labels, whose values are the sample's index."""
    place = np.arange(10)
    split = Split(
        {"pixels": np.stack([place] * 4, axis=1).astype(np.uint8), "size": place[:, None] / 1},
        {"number": place[:, None] / 1, "kind": place.astype(np.uint8)},
    )
    classes = {"number": 1, "kind": 10}
    return Dataset(train=split, validation=split, test=split, num_classes=classes, scale=255)


def test_named_arrays_are_drawn_together(named: Dataset) -> None:
    batches = Batches(named, named.train, 3, seed=0)
    inputs, labels = batches[0]
    assert (list(inputs), list(labels)) == (["pixels", "size"], ["number", "kind"])
    np.testing.assert_array_equal(labels["kind"], batches.order[:3])
    np.testing.assert_array_equal(labels["number"][:, 0], batches.order[:3])
    np.testing.assert_array_equal(inputs["size"][:, 0], batches.order[:3])
    # Integers are scaled, floats are not.
    np.testing.assert_allclose(inputs["pixels"][:, 0], batches.order[:3] / 255, rtol=1e-6)
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.float32)}
    assert [array.dtype for array in labels.values()] == [np.float32, np.int32]
    assert named.input_shape == {"pixels": (4,), "size": (1,)}


def test_gathered_samples_are_not_scaled(named: Dataset, data: Dataset) -> None:
    chosen = np.array([[3, 1], [0, 9], [3, 3]])
    inputs, labels = Batches(named, named.train, 2).gather(chosen)
    assert {name: a.shape for name, a in inputs.items()} == {"pixels": (3, 2, 4), "size": (3, 2, 1)}
    assert [array.dtype for array in inputs.values()] == [np.uint8, np.float64]
    np.testing.assert_array_equal(inputs["pixels"][..., 0], chosen)
    np.testing.assert_array_equal(labels["kind"], chosen)
    assert [array.dtype for array in labels.values()] == [np.float32, np.int32]
    inputs, labels = Batches(data, data.train, 2).gather(chosen)
    assert (inputs.shape, inputs.dtype) == ((3, 2, 2), np.uint8)
    np.testing.assert_array_equal(labels, chosen)
    assert labels.dtype == np.int32


def test_arrays_of_different_lengths_are_refused() -> None:
    zeros = np.zeros
    with pytest.raises(DlrunError, match=r"number of samples: shapes \(3, 2\), \(4,\)"):
        Split(zeros((3, 2)), zeros(4))
    with pytest.raises(DlrunError, match="number of samples"):
        Split({"a": zeros((3, 2)), "b": zeros((2, 2))}, {"c": zeros(3)})


# Weights


def test_the_weights_of_a_split_come_with_its_samples() -> None:
    place = np.arange(10)
    split = Split(place[:, None], {"a": place, "b": place}, {"a": place, "b": place / 2})
    data = Dataset(split, split[:4], split, num_classes={"a": 10, "b": 10})
    batches = Batches(data, data.train, 3, seed=0)
    inputs, labels, weights = batches[1]
    np.testing.assert_array_equal(weights["a"], labels["a"])
    np.testing.assert_array_equal(weights["b"], inputs[:, 0] / 2)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    assert len(batches.gather(np.array([[1, 2], [3, 4]]))[2]["a"]) == 2
    assert data.validation.weights["a"].tolist() == [0, 1, 2, 3]


def test_a_split_without_weights_gives_none(data: Dataset) -> None:
    batches = Batches(data, data.train, 3)
    assert len(batches[0]) == len(batches.gather(np.arange(2))) == 2
    assert not batches.is_weighted


def test_weights_of_another_length_are_refused() -> None:
    with pytest.raises(DlrunError, match=r"inputs, labels and weights differ .* \(4,\), \(3,\)"):
        Split(np.zeros((4, 2)), np.zeros(4), np.zeros(3))


def test_a_fingerprint_tells_weights_apart(data: Dataset) -> None:
    weighted = replace(data, train=replace(data.train, weights=np.ones(10)))
    heavier = replace(data, train=replace(data.train, weights=np.full(10, 2.0)))
    assert len({fingerprint(d)["train"] for d in (data, weighted, heavier)}) == 3


@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_a_process_reads_the_inputs_of_its_own_samples_and_all_labels(
    data: Dataset, shape: tuple[int, ...]
) -> None:
    batches, indices = Batches(data, data.train, 5), np.arange(10)[: np.prod(shape)].reshape(shape)
    inputs, labels = batches.gather(indices)
    batches.own = lambda size: slice(size // 2, size)
    for taken, other_labels in (batches.gather(indices), batches.prepare(indices)):
        np.testing.assert_array_equal(taken[..., 2:, :], inputs[..., 2:, :])
        assert taken.shape == inputs.shape and not taken[..., :2, :].any()
        np.testing.assert_array_equal(other_labels, labels)
    batches.own = lambda size: slice(None)
    np.testing.assert_array_equal(batches.gather(indices)[0], inputs)

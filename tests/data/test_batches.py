"""The order of the batches."""

import numpy as np
import pytest

from dlrun.data.batches import Batches, permutation
from dlrun.data.dataset import Dataset, Split


@pytest.fixture
def data() -> Dataset:
    """Ten samples whose label is their place."""
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
    # What a run that goes on, or another backend, relies on.
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
def test_there_are_as_many_batches_as_hold_all_samples(
    data: Dataset, batch_size: int, expected: int
) -> None:
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

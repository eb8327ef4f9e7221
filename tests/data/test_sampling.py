"""Over- and undersampling: what an epoch draws, and its order."""

from dataclasses import replace

import numpy as np
import pytest

from dlrun.data.batches import Batches
from dlrun.data.dataset import Dataset, Split
from dlrun.data.sampling import ClassSampling

LABELS = np.array([0] * 7 + [2] * 2 + [1] * 3)


@pytest.fixture(params=[True, False], ids=["oversample", "undersample"])
def sampled(request) -> Dataset:
    """Twelve samples, whose inputs are their index."""
    split = Split(np.arange(12.0)[:, None], LABELS)
    sampling = ClassSampling(LABELS, oversample=request.param)
    return Dataset(split, split, split, num_classes=3, sampling=sampling)


def orders(data: Dataset, epochs: range, seed: int = 5) -> list[list[int]]:
    batches = Batches(data, data.train, 4, seed=seed)
    drawn = []
    for epoch in epochs:
        batches.start_epoch(epoch)
        indices = [batches.sample_indices(index) for index in range(len(batches))]
        drawn.append(np.concatenate(indices).tolist())
    return drawn


def test_an_epoch_has_as_many_samples_of_each_class(sampled: Dataset) -> None:
    [size] = {len(order) for order in orders(sampled, range(20))}
    assert size == sampled.samples_per_pass == Batches(sampled, sampled.train, 4, seed=5).samples
    assert size in (21, 6)
    for order in orders(sampled, range(20)):
        assert np.bincount(LABELS[order]).tolist() == [size // 3] * 3
        counts = np.bincount(order, minlength=12)
        if size == 21:  # each sample, of one class equally often
            assert counts[:7].tolist() == [1] * 7
            assert sorted(counts[7:9]) == [3, 4]
            assert sorted(counts[9:]) == [2, 2, 3]
        else:
            assert counts.max() == 1


def test_the_drawn_samples_are_a_function_of_seed_and_epoch(sampled: Dataset) -> None:
    drawn = orders(sampled, range(4))
    assert orders(sampled, range(2, 4)) == drawn[2:]
    assert orders(sampled, range(4), seed=6) != drawn
    assert len({str(sorted(order)) for order in drawn}) > 1  # drawn anew
    assert len({str(order) for order in drawn}) == 4


def test_evaluation_takes_each_sample_once(sampled: Dataset) -> None:
    batches = Batches(sampled, sampled.train, 4)
    batches.start_epoch(3)
    assert batches.order.tolist() == list(range(12))
    assert Batches(replace(sampled, sampling=None), sampled.train, 4, seed=5).samples == 12

"""Two Gaussian clouds."""

import numpy as np
import pytest

from dlrun.data.blobs import blobs
from dlrun.errors import DlrunError


def test_the_splits_have_the_books_sizes() -> None:
    data = blobs()
    assert (len(data.train), len(data.validation), len(data.test)) == (1800, 200, 400)
    assert (data.input_shape, data.num_classes) == ((2,), 2)
    assert data.train.inputs.dtype == np.float32


@pytest.mark.parametrize(("label", "mean"), [(0, (0, 3)), (1, (3, 0))])
def test_each_cloud_has_the_books_mean_and_covariance(label: int, mean: tuple[int, int]) -> None:
    train = blobs(samples_per_class=20_000, validation_samples=0).train
    cloud = train.inputs[train.labels == label].astype(float)
    assert len(cloud) == 20_000
    # Six standard errors of a mean, and of a variance, over 20,000 points.
    np.testing.assert_allclose(cloud.mean(axis=0), mean, atol=0.043)
    np.testing.assert_allclose(np.cov(cloud.T), [[1, 0.5], [0.5, 1]], atol=0.06)


def test_the_classes_are_equal_in_number_and_mixed_in_order() -> None:
    data = blobs(validation_samples=0)
    for split in (data.train, data.test):
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2
        assert 0.3 < split.labels[: len(split) // 4].mean() < 0.7


def test_the_points_are_a_function_of_the_seed() -> None:
    first, same, other = blobs(seed=1), blobs(seed=1), blobs(seed=2)
    np.testing.assert_array_equal(first.train.inputs, same.train.inputs)
    np.testing.assert_array_equal(first.test.inputs, same.test.inputs)
    assert not np.isin(first.train.inputs, other.train.inputs).any()


def test_no_point_is_in_two_splits() -> None:
    data = blobs()
    points = np.concatenate([data.train.inputs, data.validation.inputs, data.test.inputs])
    assert len(np.unique(points, axis=0)) == len(points) == 2400


def test_another_number_of_validation_samples_keeps_the_points() -> None:
    more, fewer = blobs(validation_samples=500), blobs(validation_samples=200)
    np.testing.assert_array_equal(more.validation.inputs[:200], fewer.validation.inputs)
    np.testing.assert_array_equal(more.train.inputs, fewer.train.inputs[300:])
    np.testing.assert_array_equal(more.test.inputs, fewer.test.inputs)


def test_a_limit_keeps_the_first_of_each_split() -> None:
    few, all_ = blobs(limit=50), blobs()
    for name in ("train", "validation", "test"):
        assert len(few.split(name)) == 50
        np.testing.assert_array_equal(few.split(name).inputs, all_.split(name).inputs[:50])


def test_validation_can_not_take_all_points() -> None:
    with pytest.raises(DlrunError, match="leaves nothing to train on: there are 20 samples"):
        blobs(samples_per_class=10, validation_samples=20)


@pytest.mark.parametrize("test_samples", [0, 1])
def test_an_empty_test_split_is_reported_with_its_key(test_samples: int) -> None:
    with pytest.raises(DlrunError) as caught:
        blobs(test_samples=test_samples).split("test")
    assert "test_samples" in f"{caught.value.message} {caught.value.hint}"

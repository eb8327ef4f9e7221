"""The MNIST file that is shipped."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dlrun.data import mnist as module
from dlrun.data.batches import Batches
from dlrun.data.dataset import Dataset
from dlrun.data.mnist import mnist
from dlrun.errors import DlrunError

# The number of samples of each digit, 0 to 9, in the published files.
TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture(scope="module")
def whole() -> Dataset:
    return mnist(validation_samples=0)


@pytest.fixture(scope="module")
def usual() -> Dataset:
    return mnist()


def test_the_splits_have_the_usual_sizes(usual: Dataset) -> None:
    assert (len(usual.train), len(usual.validation), len(usual.test)) == (50_000, 10_000, 10_000)
    assert (usual.input_shape, usual.num_classes) == ((28, 28), 10)


def test_each_digit_is_as_frequent_as_published(whole: Dataset) -> None:
    assert np.bincount(whole.train.labels).tolist() == TRAIN
    assert np.bincount(whole.test.labels).tolist() == TEST
    assert whole.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert whole.test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_the_first_ten_thousand_validate(whole: Dataset, usual: Dataset) -> None:
    np.testing.assert_array_equal(usual.validation.inputs, whole.train.inputs[:10_000])
    np.testing.assert_array_equal(usual.validation.labels, whole.train.labels[:10_000])
    np.testing.assert_array_equal(usual.train.labels, whole.train.labels[10_000:])


def test_without_validation_all_sixty_thousand_train(whole: Dataset) -> None:
    assert (len(whole.train), len(whole.validation)) == (60_000, 0)
    with pytest.raises(DlrunError, match="the validation split is empty") as caught:
        whole.split("validation")
    assert "data.validation_samples" in str(caught.value.hint)


def test_a_limit_keeps_the_first_of_each_split(usual: Dataset) -> None:
    few = mnist(limit=384)
    for name in ("train", "validation", "test"):
        assert len(few.split(name)) == 384
        np.testing.assert_array_equal(few.split(name).labels, usual.split(name).labels[:384])


def test_validation_can_not_take_all_samples() -> None:
    with pytest.raises(DlrunError, match="there are 60,000 samples") as caught:
        mnist(validation_samples=60_000)
    assert caught.value.hint == "set data.validation_samples to at most 59999"


def test_pixels_are_bytes_in_memory_and_float32_to_one_in_a_batch(usual: Dataset) -> None:
    assert usual.train.inputs.dtype == np.uint8
    inputs, labels = Batches(usual, usual.train, 256)[0]
    assert (inputs.shape, inputs.dtype) == ((256, 28, 28), np.float32)
    assert (inputs.min(), inputs.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(np.round(inputs * 255), usual.train.inputs[:256])
    assert (labels.shape, labels.dtype) == ((256,), np.int32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_floats_are_not_scaled(usual: Dataset, dtype: type) -> None:
    scaled = usual.prepare(np.asarray([[0.0, 0.5, 1.0]], dtype))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[0.0, 0.5, 1.0]]


@pytest.mark.parametrize("damage", ["changed", "truncated", "missing"])
def test_a_damaged_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    path = tmp_path / "mnist.npz"
    shutil.copy(module.FILE, path)
    with path.open("r+b") as file:
        if damage == "changed":
            file.seek(5_000_000)
            [byte] = file.read(1)
            file.seek(5_000_000)
            file.write(bytes([byte ^ 1]))
        elif damage == "truncated":
            file.truncate(5_000_000)
    if damage == "missing":
        path.unlink()
    monkeypatch.setattr(module, "FILE", path)
    with pytest.raises(DlrunError, match=r"mnist\.npz") as caught:
        mnist()
    assert caught.value.hint == "install dlrun again"

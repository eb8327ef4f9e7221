"""Images of each class, which ``dlrun data --plot`` shows."""

from pathlib import Path

import numpy as np
from PIL import Image

from dlrun.api.data import describe_data
from dlrun.data.dataset import Dataset, Split
from dlrun.data.description.pictures import CLASSES, EACH, pictures_of
from dlrun.data.image_folder import image_folder


def dataset(inputs: np.ndarray, labels: np.ndarray) -> Dataset:
    split = Split(inputs, labels)
    return Dataset(split, split, split, num_classes=int(labels.max()) + 1)


def test_the_first_images_of_each_class_are_shown_as_they_are():
    inputs = np.random.default_rng(0).integers(0, 256, (300, 5, 6, 3)).astype(np.uint8)
    labels = np.arange(300) % 20
    pictures = pictures_of(dataset(inputs, labels))
    assert list(pictures) == [str(n) for n in range(CLASSES)]
    np.testing.assert_array_equal(pictures["3"], inputs[labels == 3][:EACH])


def test_images_of_other_ranges_reach_from_black_to_white():
    draw = np.random.default_rng(0)
    for inputs in (draw.normal(size=(10, 8, 8)), draw.integers(0, 17, (10, 8, 8), np.uint8)):
        pictures = pictures_of(dataset(inputs, np.zeros(10, np.int64)))
        assert (np.min(pictures["0"]), np.max(pictures["0"])) == (0, 255)
        assert pictures["0"][0].shape == (8, 8, 1)


def test_other_samples_are_no_images():
    for shape in ((10, 8), (10, 8, 2), (10, 8, 8, 5), (10, 2000, 9)):
        assert pictures_of(dataset(np.zeros(shape, np.float32), np.arange(10))) == {}


def test_a_folder_is_drawn_as_a_contact_sheet(tmp_path, monkeypatch):
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    for n in range(8):
        path = tmp_path / "photos" / ("red" if n % 2 else "blue") / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 7), (250, 0, 0) if n % 2 else (0, 0, 250)).save(path)
    folder = f"data.path={tmp_path / 'photos'}"
    pictures = image_folder(path=str(tmp_path / "photos")).pictures()
    assert list(pictures) == ["blue", "red"]
    assert np.asarray(pictures["red"]).shape == (4, 7, 9, 3)
    describe_data(["data=image_folder", folder], plot=Path(tmp_path / "sheet.png"))
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).reshape(-1, 3)
    for color in ((250, 0, 0), (0, 0, 250)):
        assert (np.abs(pixels.astype(int) - color).max(axis=1) < 3).mean() > 0.1

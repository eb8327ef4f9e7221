"""Folders of images for the tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, seed: int = 0, *, size=(20, 20), mode="RGB", **options) -> Path:
    """An image of noise, in the format of its suffix."""
    generator = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = generator.integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def write_classes(folder: Path, count: int = 10, classes=("cat", "dog", "owl"), **options) -> str:
    """A folder of ``count`` PNGs for each class."""
    for number, name in enumerate(classes):
        for index in range(count):
            write_image(folder / name / f"{index}.png", 100 * number + index, **options)
    return str(folder)


def write_digits(folder: Path, count: int | None = None) -> str:
    """scikit-learn's digits, 8 x 8, a folder for each."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if index == count:
            break
        path = folder / str(label) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9375).astype(np.uint8)).save(path)
    return str(folder)

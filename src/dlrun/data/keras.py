"""The data sets of ``keras.datasets``, read from Keras' own files without importing it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlrun.data.arrays import ArraySource, array_source
from dlrun.data.files.pickled_arrays import load_pickle, load_ragged
from dlrun.data.mnist import FILE as SHIPPED_MNIST
from dlrun.data.network import require_network
from dlrun.data.npz import NAMES, read
from dlrun.data.samples import Samples
from dlrun.errors import DlrunError
from dlrun.system.files import is_file

START, UNKNOWN, FIRST_WORD = 1, 2, 3  # ids, as keras.datasets.imdb.load_data gives them; 0 pads
FASHION = (
    "Top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"
)  # fmt: skip
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
IDX = tuple(
    f"fashion-mnist/{split}-{part}-ubyte.gz"
    for split in ("train", "t10k")
    for part in ("images-idx3", "labels-idx1")
)


def keras(
    *,
    name: str,
    path: str | None = None,
    download: bool = False,
    words: int = 10_000,
    length: int = 200,
    coarse: bool = False,
    **options: Any,
) -> ArraySource:
    """A data set of ``keras.datasets``: images, sequences of word ids, or numbers.

    Sets that come with a test split keep it; the rows to validate on are drawn from the others.

    Args:
        name: boston_housing, california_housing, cifar10, cifar100, fashion_mnist, imdb, mnist or
            reuters.
        path: The folder of Keras' files; None is ``datasets`` in ``KERAS_HOME`` or ``~/.keras``.
        download: Let Keras download what is missing, in a process of its own.
        words: Of imdb and reuters: ids are below it; rarer words are 2.
        length: Of imdb and reuters: words of a text, which is cut or padded with 0.
        coarse: Of cifar100: 20 classes instead of 100.
        **options: Those of :func:`dlrun.data.table.table` for the target and the split.

    Raises:
        DlrunError: If there is no such data set, or its files are missing.
    """
    if name not in _SETS:
        raise DlrunError(f"data.name={name}: expected one of {', '.join(sorted(_SETS))}")
    for key, value, least in (("words", words, FIRST_WORD + 1), ("length", length, 1)):
        if value < least:
            raise DlrunError(f"data.{key}={value}: must be at least {least}")
    of = _SETS[name]
    folder = _folder(path)
    missing = [file for file in of.files if not is_file(folder / file)]
    if missing and name == "mnist":
        folder = SHIPPED_MNIST.parent
    elif missing and download and path is None:
        _download(name)
    elif missing:
        raise DlrunError(
            f"data.name={name}: there is no {folder / missing[0]}, and nothing is downloaded",
            hint="put Keras' file there, or name its folder: data.path=FOLDER, or"
            " data.download=true",
        )

    def load() -> Samples:
        try:
            return of.read(folder, _Options(words, length, coarse))
        except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise DlrunError(
                f"data.name={name}: the files in {folder} can't be read: {error!s:.200}",
                hint="remove them, and data.download=true",
            ) from error

    return array_source(
        f"keras.datasets.{name}",
        load,
        scale=of.scale,
        standardize=of.standardize,
        arguments={"name": name},
        **options,
    )


class _Options(NamedTuple):
    """As in :func:`keras`."""

    words: int
    length: int
    coarse: bool


@dataclass(frozen=True)
class _Set:
    files: tuple[str, ...]
    read: Callable[[Path, _Options], Samples]
    scale: float = 1.0
    standardize: bool = False


def _folder(path: str | None) -> Path:
    if path is not None:
        return Path(path)
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def _mnist(folder: Path, options: _Options) -> Samples:
    x_train, y_train, x_test, y_test = read(folder / "mnist.npz", NAMES)
    return Samples.of_splits({"train": (x_train, y_train), "test": (x_test, y_test)})


def _fashion_mnist(folder: Path, options: _Options) -> Samples:
    x_train, y_train, x_test, y_test = (_idx(folder / file) for file in IDX)
    names = np.asarray(FASHION)
    return Samples.of_splits({"train": (x_train, names[y_train]), "test": (x_test, names[y_test])})


def _idx(path: Path) -> np.ndarray:
    """An array of bytes: its number of axes, their sizes in 4 bytes each, the values."""
    with gzip.open(path) as file:
        content = file.read(2**28)
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path.name} is no idx file of bytes")
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _cifar10(folder: Path, options: _Options) -> Samples:
    *train, test = (_cifar_batch(folder / file, b"labels") for file in _SETS["cifar10"].files)
    names = np.asarray(CIFAR10)
    images = np.concatenate([images for images, _ in train])
    labels = np.concatenate([labels for _, labels in train])
    return Samples.of_splits({"train": (images, names[labels]), "test": (test[0], names[test[1]])})


def _cifar100(folder: Path, options: _Options) -> Samples:
    key = b"coarse_labels" if options.coarse else b"fine_labels"
    files = _SETS["cifar100"].files
    train, test = (_cifar_batch(folder / file, key) for file in files)
    return Samples.of_splits({"train": train, "test": test})


def _cifar_batch(path: Path, labels: bytes) -> tuple[np.ndarray, np.ndarray]:
    with path.open("rb") as file:
        content = load_pickle(file)
    images = np.asarray(content[b"data"], np.uint8).reshape(-1, 3, 32, 32)
    return images.transpose(0, 2, 3, 1), np.asarray(content[labels], np.int64)


def _imdb(folder: Path, options: _Options) -> Samples:
    x_train, y_train, x_test, y_test = load_ragged(folder / "imdb.npz", NAMES)
    train, test = (_ids(texts, options) for texts in (x_train, x_test))
    samples = Samples.of_splits({"train": (train, y_train), "test": (test, y_test)})
    return samples._replace(sizes={None: (options.words,)})


def _reuters(folder: Path, options: _Options) -> Samples:
    texts, labels = load_ragged(folder / "reuters.npz", ("x", "y"))
    return Samples(_ids(texts, options), np.asarray(labels), sizes={None: (options.words,)})


def _ids(texts: list[list[int]], options: _Options) -> np.ndarray:
    """The ids of each text's first words, ``(texts, length)`` int32."""
    ids = np.zeros((len(texts), options.length), np.int32)
    for row, text in zip(ids, texts, strict=True):
        words = np.asarray(text[: len(row) - 1], np.int64) + FIRST_WORD
        row[0] = START
        row[1 : 1 + len(words)] = np.where(words < options.words, words, UNKNOWN)
    return ids


def _numbers(file: str) -> Callable[[Path, _Options], Samples]:
    def load(folder: Path, options: _Options) -> Samples:
        inputs, labels = read(folder / file, ("x", "y"))
        return Samples(inputs, labels)

    return load


def _cifar_files() -> Iterator[str]:
    for batch in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        yield f"cifar-10-batches-py-target/cifar-10-batches-py/{batch}"


_SETS = {
    "boston_housing": _Set(
        ("boston_housing.npz",), _numbers("boston_housing.npz"), standardize=True
    ),
    "california_housing": _Set(
        ("california_housing.npz",), _numbers("california_housing.npz"), standardize=True
    ),
    "cifar10": _Set(tuple(_cifar_files()), _cifar10, scale=255.0),
    "cifar100": _Set(
        tuple(f"cifar-100-python-target/cifar-100-python/{part}" for part in ("train", "test")),
        _cifar100,
        scale=255.0,
    ),
    "fashion_mnist": _Set(IDX, _fashion_mnist, scale=255.0),
    "imdb": _Set(("imdb.npz",), _imdb),
    "mnist": _Set(("mnist.npz",), _mnist, scale=255.0),
    "reuters": _Set(("reuters.npz",), _reuters),
}


def _download(name: str) -> None:
    """Let Keras download a data set, in a process of its own: no backend has started here."""
    require_network("www.cs.toronto.edu" if name.startswith("cifar") else "storage.googleapis.com")
    code = (
        "import socket; socket.setdefaulttimeout(8); import keras;"
        f" keras.datasets.{name}.load_data()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended"])[-1]
        raise DlrunError(
            f"data.name={name}: Keras can't download it: {reason:.200}",
            hint="without a network, put the file into the folder yourself, without data.download",
            exit_code=1,
        )

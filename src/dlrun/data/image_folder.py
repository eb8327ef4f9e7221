"""Your own images: a folder for each class, or a table of paths and labels."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.cache import cache_entry, content_key, key_of, limit_of
from dlrun.data.description.images import describe_images, image_notes
from dlrun.data.description.pictures import Pictures, choose
from dlrun.data.images import encode
from dlrun.data.images.decode import BACKGROUNDS, BrokenImageError, Header, decode, read_header
from dlrun.data.images.decode_all import broken_error, each
from dlrun.data.images.folders import Folders
from dlrun.data.images.image_table import ImageTable
from dlrun.data.preprocessing.images import BITS, RESIZE, Images, parse_size
from dlrun.data.source import Description
from dlrun.data.splits import BY_COLUMN, LEFT_OUT, TEST, TRAIN, VALIDATION, SplitOptions
from dlrun.data.table import BLANKS
from dlrun.data.table_formats import format_of
from dlrun.data.targets import KINDS
from dlrun.errors import DlrunError
from dlrun.system.files import is_file
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec

log = logging.getLogger("dlrun")

HEADERS = "headers.json"
LARGEST, USUAL = 256, 128  # a size that is found: the common one up to this, else the usual one


def image_folder(
    *,
    path: str,
    labels: str | None = None,
    image: str | None = None,
    target: str | Sequence[str] | None = None,
    kind: str | None = None,
    blank: str = "missing",
    size: int | Sequence[int] | None = None,
    channels: int | str = "auto",
    resize: str = "stretch",
    background: str = "white",
    bits: int = 16,
    split: str = "auto",
    by: str | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    folds: int | None = None,
    fold: int | None = 0,
    seed: int = 0,
    limit: int | None = None,
    on_error: str = "fail",
    cache_gb: float = 10.0,
) -> ImageFolder:
    """Images in folders, or named by a table.

    Args:
        path: A folder with a folder for each class, also below ``train``, ``validation`` and
            ``test``; with ``labels``, the folder that paths are relative to.
        labels: A table of paths and labels, of any kind that ``data=table`` reads.
        image: Its column of paths; None is found.
        target: Its column to predict, or several; None is the only other one.
        kind: The task, one of :data:`dlrun.data.targets.KINDS`; None is found.
        blank: Of the table, as for :func:`dlrun.data.table.table`.
        size: Height and width in pixels, or one number for both; None is found.
        channels: 1 for grey, 3 for colour; ``auto`` is grey if all files are.
        resize: As :class:`dlrun.data.preprocessing.images.Images`, like ``background``.
        background: What transparent pixels are put on.
        bits: As :class:`dlrun.data.preprocessing.images.Images`.
        split: As :class:`dlrun.data.splits.SplitOptions`, like the following six.
        by: The column of the table to split by.
        validation: The share, or the number, of images to validate on.
        test: The share, or the number, of images to test on.
        folds: Parts for cross-validation.
        fold: The part to test on.
        seed: Seeds the split.
        limit: Keep N images of each split, evenly spread over them.
        on_error: ``fail``, or ``skip`` to leave out images that can't be decoded.
        cache_gb: What the data cache may hold, in GB.

    Raises:
        DlrunError: If an argument is impossible.
    """
    labels, image, by = (
        _name(key, value) for key, value in (("labels", labels), ("image", image), ("by", by))
    )
    # Folders are split by the images' paths, where a split needs values.
    column = by if labels is not None else "path" if split in BY_COLUMN else None
    options = SplitOptions(split, column, validation, test, folds, fold or 0, seed)
    options.check()
    for key, value, values in (
        ("kind", kind, (None, *KINDS)),
        ("blank", blank, BLANKS),
        ("channels", channels, ("auto", 1, 3)),
        ("resize", resize, RESIZE),
        ("background", background, tuple(BACKGROUNDS)),
        ("bits", bits, BITS),
        ("on_error", on_error, ("fail", "skip")),
    ):
        if value not in values:
            expected = ", ".join(str(v) for v in values if v is not None)
            raise DlrunError(f"data.{key}={value}: expected {expected}")
    if labels is None and is_file(Path(path)) and format_of(Path(path)):
        raise DlrunError(
            f"data.path={path}: is a table, expected a folder of images",
            hint=f"data.path={Path(path).parent} data.labels={path}, if its paths are relative to"
            f" {Path(path).parent}",
        )
    if labels is None and (given := image or target or by):
        raise DlrunError(
            f"data: '{given}' names a column, but there is no table",
            hint="data.labels=TABLE, a table of paths and labels",
        )
    samples: Folders | ImageTable = (
        Folders(path, kind, options)
        if labels is None
        else ImageTable(path, labels, image, target, kind, blank, options, cache_gb)
    )
    return ImageFolder(
        samples=samples,
        size=None if size is None else parse_size(size),
        channels=None if channels == "auto" else int(channels),
        resize=resize,
        background=background,
        bits=bits,
        limit=limit,
        on_error=on_error,
        cache_bytes=limit_of(cache_gb),
    )


@dataclass(frozen=True)
class ImageFolder:
    """Images as a :class:`dlrun.data.source.Source`.

    Args:
        samples: The files, and their labels and splits.
        size: Height and width; None is found.
        channels: None is found.
        resize: As for :func:`image_folder`, like the following four.
        background: See there.
        bits: See there.
        limit: See there.
        on_error: See there.
        cache_bytes: What the data cache may hold.
    """

    samples: Folders | ImageTable
    size: tuple[int, int] | None
    channels: int | None
    resize: str
    background: str
    bits: int
    limit: int | None
    on_error: str
    cache_bytes: float

    @cached_property
    def paths(self) -> list[Path]:
        """The file of each image; a table may name one that is missing."""
        return [self.samples.root / name for name in self.samples.names]

    @cached_property
    def content(self) -> str:
        """A key of the files' content."""
        there = [path for path in self.paths if is_file(path)]
        try:
            return key_of(content_key(there), self.samples.names)
        except OSError as error:
            raise DlrunError(f"data: {error.filename} can't be read: {error.strerror}") from error

    @cached_property
    def headers(self) -> list[Header | str]:
        """The header of each file, or what is wrong with it.

        Raises:
            DlrunError: If a file is not an image, with ``on_error=fail``.
        """
        require_package("PIL", "an image", "data")

        def make(directory: Path) -> None:
            found = [
                header.reason if isinstance(header, BrokenImageError) else [*header]
                for header in each(read_header, self.paths, "images looked at")
            ]
            (directory / HEADERS).write_text(json.dumps(found), encoding="utf-8")

        entry = cache_entry(key_of("headers", self.content), make, limit_bytes=self.cache_bytes)
        found = json.loads((entry / HEADERS).read_text(encoding="utf-8"))
        headers = [header if isinstance(header, str) else Header(*header) for header in found]
        if self.on_error == "fail":
            for row, header in enumerate(headers):
                if isinstance(header, str):
                    error = BrokenImageError(self.paths[row], header)
                    raise broken_error(error)
        return headers

    @cached_property
    def form(self) -> Images:
        """What each image becomes."""
        whole = [header for header in self.headers if isinstance(header, Header)]
        if not whole:
            raise DlrunError(f"data: none of the {len(self.paths):,} images can be decoded")
        sizes = {(header.height, header.width) for header in whole}
        found = next(iter(sizes)) if len(sizes) == 1 else (USUAL, USUAL)
        height, width = self.size or (found if max(found) <= LARGEST else (USUAL, USUAL))
        channels = self.channels or (1 if all(header.is_grey for header in whole) else 3)
        return Images(height, width, channels, self.resize, self.background, self.bits)

    @cached_property
    def splits(self) -> np.ndarray:
        """The split of each image, ``(images,)`` uint8; left out are those beyond the limit."""
        splits = self.samples.splits.copy()
        broken = [row for row, header in enumerate(self.headers) if isinstance(header, str)]
        splits[broken] = LEFT_OUT
        if self.limit is not None:
            for split in (TRAIN, VALIDATION, TEST):
                rows = np.flatnonzero(splits == split)
                if len(rows) > self.limit:
                    kept = rows[np.arange(self.limit) * len(rows) // self.limit]
                    splits[np.setdiff1d(rows, kept)] = LEFT_OUT
        return splits

    def tasks(self) -> Mapping[str | None, str]:
        """See :class:`dlrun.data.source.Source`."""
        tasks = {name: target.kind for name, target in self.samples.targets.items()}
        _ = self.headers  # a file that is not an image is reported before a framework is imported
        return tasks

    def describe(self) -> Description:
        """See :class:`dlrun.data.source.Source`."""
        return describe_images(self)

    @cached_property
    def notes(self) -> list[str]:
        """What was decided that one may not expect, one line each."""
        return [*self.samples.notes, *image_notes(self)]

    def pictures(self) -> Pictures:
        """See :class:`dlrun.data.description.pictures.HasPictures`; each as the model gets it."""
        there = np.array([isinstance(header, Header) for header in self.headers])
        rows = np.flatnonzero(there & (self.samples.splits != LEFT_OUT))
        chosen = choose(self._names_of_classes(rows))
        return {
            name: [decode(self.paths[rows[place]], self.form) for place in places]
            for name, places in chosen.items()
        }

    def _names_of_classes(self, rows: np.ndarray) -> np.ndarray:
        """The class of each image, if there is one target of classes, else an empty text."""
        target = self.samples.targets.get(None)
        if target is None or not target.classes or target.kind == "multilabel":
            return np.full(len(rows), "")
        labels = self.samples.labels(rows, {None: target})[None]
        return np.asarray(target.classes)[labels.astype(np.int64)]

    def explicit(self) -> dict[str, Any]:
        """The arguments of :func:`image_folder` that say what was found."""
        form = self.form
        return {
            "path": str(self.samples.root),
            **self.samples.explicit(),
            "size": [form.height, form.width],
            "channels": form.channels,
            "resize": form.resize,
            "background": form.background,
            "bits": form.bits,
        }

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        data = encode.dataset(self, saved)
        for note in self.notes:
            log.info("data   %s", note)
        return data


def _name(key: str, value: object) -> str | None:
    """A table or a column as a config names it: 0 is the column called 0."""
    if isinstance(value, list | Mapping):
        raise DlrunError(f"data.{key}={value}: expected one name", hint=f"data.{key}=NAME")
    return None if value is None else str(value)

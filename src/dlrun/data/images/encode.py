"""Decode images into one memory-mapped array in the data cache, split by split."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dlrun.data.cache import cache_dir, cache_entry, key_of
from dlrun.data.dataset import Dataset, Split
from dlrun.data.images.decode import BrokenImageError, decode
from dlrun.data.images.decode_all import broken_error, each
from dlrun.data.preprocessing.images import Images
from dlrun.data.sample_ids import SampleIds
from dlrun.data.splits import TEST, TRAIN, VALIDATION
from dlrun.data.tabular.encode import IN_MEMORY
from dlrun.data.targets import Target
from dlrun.data.tree import as_tree, leaves_by_name, tree_map
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.image_folder import ImageFolder
    from dlrun.data.input_spec import InputSpec

log = logging.getLogger("dlrun")

SPLITS = (TRAIN, VALIDATION, TEST)
PIXELS, ROWS, FILES = "images.npy", "rows.json", "files.json"
SETTLED_NS = 2e9  # the coarsest times of files are those of FAT
File: TypeAlias = tuple[str, int, int, int]
SCALE = 255.0


def dataset(of: ImageFolder, saved: InputSpec | None) -> Dataset:
    """The images as arrays, from the cache if they are in it.

    Args:
        of: The images.
        saved: As in :class:`dlrun.data.source.Source`.

    Raises:
        DlrunError: If an image can't be decoded, or a label does not fit.
    """
    form, targets = _read_saved(saved) if saved else (of.form, None)
    ordered = [row for split in SPLITS for row in np.flatnonzero(of.splits == split).tolist()]
    entry, rows, broken = _decode(of, form, ordered)
    pixels = np.load(entry / PIXELS, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    for row, reason in broken.items():
        log.warning("%s is left out: %s", of.paths[int(row)], reason)
    codes = of.splits[rows]
    targets = targets or of.samples.fit(np.asarray(rows)[codes == TRAIN])
    train, validation, test = (
        _split(of, pixels, rows, targets, np.flatnonzero(codes == split)) for split in SPLITS
    )
    return Dataset(
        train,
        validation,
        test,
        num_classes=tree_map(lambda target: target.num_classes, as_tree(targets)),
        scale=SCALE,
        preprocessing=(form,),
        targets=as_tree(targets),
    )


def _read_saved(saved: InputSpec) -> tuple[Images, dict[str | None, Target]]:
    """The run's form and targets."""
    form = saved.step(Images)
    if form is None or saved.targets is None:
        raise DlrunError(
            "data: the run was not trained on images", hint="choose data of the run's own kind"
        )
    return form, leaves_by_name(saved.targets)


def _split(
    of: ImageFolder,
    pixels: np.ndarray,
    rows: Sequence[int],
    targets: Mapping[str | None, Target],
    places: np.ndarray,
) -> Split:
    """The images at these places, which follow each other, and their labels."""
    images = pixels[places[0] : places[-1] + 1] if len(places) else pixels[:0]
    if images.nbytes <= IN_MEMORY:
        images = images.copy()
    of_samples = np.asarray(rows, np.int64)[places]
    labels = of.samples.labels(of_samples, targets)
    return Split(images, as_tree(labels), ids=SampleIds(of_samples, of.paths))


def _decode(
    of: ImageFolder, form: Images, ordered: list[int]
) -> tuple[Path, list[int], dict[str, str]]:
    """The entry of the decoded images, the row of each, and what is wrong with the others."""
    same = key_of("pixels", of.content, form.state())
    of_folder = key_of("pixels of", str(of.samples.root.resolve()), form.state())
    of_same, of_root = [cache_dir() / "pixels" / pool for pool in (same, of_folder)]
    outdated: list[Path] = []  # the notes of entries that do not hold all of these

    def make(directory: Path) -> None:
        rows, broken = [], {}
        files = [_file(name, path) for name, path in zip(of.samples.names, of.paths, strict=True)]
        known: dict[int, np.ndarray] = {}
        for note, there in (
            (of_same, _known_images(of_same)),
            (of_root, _known_images(of_root, files)),
        ):
            known |= there
            if not there.keys() >= set(ordered):
                outdated.append(note)
        if new := sum(row not in known for row in ordered):
            log.info("data   decoding %s images, once for all runs", f"{new:,}")
        found = _images(of, form, ordered, known)
        with (directory / PIXELS).open("wb") as file:
            _write_header(file, len(ordered), form)
            for row, image in found:
                if not isinstance(image, BrokenImageError):
                    file.write(np.ascontiguousarray(image).data)
                    rows.append(row)
                elif of.on_error == "skip":
                    broken[row] = image.reason
                else:
                    raise broken_error(image)
            file.seek(0)  # the header of fewer images is as long
            _write_header(file, len(rows), form)
        if not rows:
            raise DlrunError(f"data: none of {len(ordered):,} images can be decoded")
        (directory / ROWS).write_text(json.dumps([rows, broken]), encoding="utf-8")
        (directory / FILES).write_text(json.dumps([files[row] for row in rows]), encoding="utf-8")

    key = key_of(same, ordered, of.on_error)
    entry = cache_entry(key, make, limit_bytes=of.cache_bytes)
    for note in outdated:
        with suppress(OSError):  # other splits and tables of the same files are copied from it
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(key, encoding="ascii")
    rows, broken = json.loads((entry / ROWS).read_text(encoding="utf-8"))
    return entry, rows, broken


def _images(
    of: ImageFolder, form: Images, ordered: list[int], known: Mapping[int, np.ndarray]
) -> Iterator[tuple[int, Any]]:
    """Each row with its image, or with the error; copied if it is known."""
    new = [of.paths[row] for row in ordered if row not in known]
    decoded = each(lambda path: decode(path, form), new, "images decoded")
    for row in ordered:
        yield row, known[row] if row in known else next(decoded)


def _file(name: str, path: Path) -> File | None:
    """What tells whether an image is as it was; None if that can't be told."""
    try:
        stat = path.stat()
    except OSError:
        return None
    # A file that changes now may get the same time again.
    if time.time_ns() - stat.st_mtime_ns < SETTLED_NS:
        return None
    return name, stat.st_size, stat.st_mtime_ns, stat.st_ino


def _known_images(note: Path, files: Sequence[File | None] | None = None) -> dict[int, np.ndarray]:
    """The images that an earlier entry holds, by row: of the same images, or of these files."""
    try:
        entry = cache_dir() / note.read_text(encoding="ascii")
        rows, _ = json.loads((entry / ROWS).read_text(encoding="utf-8"))
        pixels = np.load(entry / PIXELS, mmap_mode="r", allow_pickle=False)
        if files is None:
            return dict(zip(rows, pixels, strict=True))
        earlier = json.loads((entry / FILES).read_text(encoding="utf-8"))
        places = {tuple(file): place for place, file in enumerate(earlier) if file}
        known = [(row, places[file]) for row, file in enumerate(files) if file in places]
        return {row: pixels[place] for row, place in known}
    except (OSError, ValueError, TypeError):  # it was removed, or there was none
        return {}


def _write_header(file: Any, count: int, form: Images) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *form.shape)}
    np.lib.format.write_array_header_1_0(file, header)

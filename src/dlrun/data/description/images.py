"""What ``dlrun data`` tells of images."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.description.class_coverage import unlearned_classes
from dlrun.data.images.decode import Header, highest_value
from dlrun.data.images.decode_all import each
from dlrun.data.preprocessing.images import BITS
from dlrun.data.source import Description
from dlrun.data.splits import LEFT_OUT, SPLITS
from dlrun.data.tree import as_tree, tree_map

if TYPE_CHECKING:
    from dlrun.data.image_folder import ImageFolder
    from dlrun.data.targets import Target

LOOKED_AT = 16  # images, at even distances
DARK = 2  # bits that no value has: all are below a quarter of white


def describe_images(of: ImageFolder) -> Description:
    """What is in the files, and what was found."""
    counts = np.bincount(of.splits, minlength=LEFT_OUT + 1)
    outputs = {name or target.title: target for name, target in of.samples.targets.items()}
    return Description(
        source=str(of.samples.root),
        samples=len(of.paths),
        splits={name: int(counts[code]) for name, code in SPLITS.items()},
        columns=[_describe_files(of)],
        tasks={name: target.kind for name, target in outputs.items()},
        classes=_class_counts(of),
        notes=[*of.notes, *_class_notes(of)],
        explicit=of.explicit(),
    )


def image_notes(of: ImageFolder) -> list[str]:
    """What was decided that one may not expect, one line each."""
    broken = [row for row, header in enumerate(of.headers) if isinstance(header, str)]
    notes = _dark_notes(of)
    if broken:
        are = f"{len(broken):,} images are" if len(broken) > 1 else "1 image is"
        first = f"{of.paths[broken[0]]}, {of.headers[broken[0]]}"
        notes.append(f"{are} left out, not decoded: {first}")
    return notes


def _dark_notes(of: ImageFolder) -> list[str]:
    """Images of cameras with 10 to 14 bits whose files have 16; some are looked at."""
    whole = [
        path
        for path, header in zip(of.paths, of.headers, strict=True)
        if isinstance(header, Header) and header.is_deep
    ]
    some = whole[:: max(len(whole) // LOOKED_AT, 1)]
    found = [value for value in each(highest_value, some, "") if isinstance(value, int)]
    highest = max(found, default=0)
    bits = max(highest.bit_length(), BITS[0])
    if not highest or of.bits - bits < DARK:
        return []
    return [
        f"the highest value of {len(found):,} of the {of.bits}-bit images is {highest:,}, which"
        f" becomes {highest >> (of.bits - 8)} of 255; data.bits={bits} makes them brighter"
    ]


def _describe_files(of: ImageFolder) -> dict[str, Any]:
    """The images, as a table's column is described; ``counts`` are of their sizes."""
    whole = [header for header in of.headers if isinstance(header, Header)]
    sizes = Counter(f"{header.height} x {header.width}" for header in whole)
    return {
        "name": "image",
        "type": "grey image" if all(header.is_grey for header in whole) else "image",
        "kind": "image",
        "missing": len(of.paths) - len(whole),
        "distinct": len(sizes),
        "low": None,
        "high": None,
        "mean": None,
        "counts": dict(sizes.most_common(20)),
        "examples": of.samples.names[:5],
    }


def _class_counts(of: ImageFolder) -> dict[str, dict[str, int]]:
    """How many images each class has, by output."""
    targets, counts = _targets_of_classes(of), {}
    rows = np.flatnonzero(of.samples.splits != LEFT_OUT)
    for name, labels in of.samples.labels(rows, targets).items():
        target = targets[name]
        if labels.ndim > 1:
            of_classes = labels.sum(axis=0)
        else:
            of_classes = np.bincount(labels, minlength=len(target.classes))
        named = zip(target.classes, of_classes.tolist(), strict=True)
        counts[name or target.title] = dict(named)
    return counts


def _class_notes(of: ImageFolder) -> list[str]:
    """The classes that no training image has."""
    by_name = _targets_of_classes(of)
    labels = {
        split: as_tree(of.samples.labels(np.flatnonzero(of.splits == code), by_name))
        for split, code in SPLITS.items()
    }
    targets = as_tree(by_name)
    widths = tree_map(lambda target: target.num_classes, targets)
    return unlearned_classes(labels, widths, targets)


def _targets_of_classes(of: ImageFolder) -> dict[str | None, Target]:
    return {name: target for name, target in of.samples.targets.items() if target.classes}

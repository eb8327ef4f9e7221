"""Count the rows of other splits whose inputs also occur in the training split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from dlrun.data.splits import SPLITS

BLOCK = 4096  # rows; their values and hashes stay in the processor's cache
IN_MEMORY = 2**21  # hashes at once, 16 MiB: a longer table is counted in several passes
READ = 2**18


class RowHashes:
    """The hashes of each split's rows, in files beside the arrays until they are counted.

    Args:
        directory: Where the files are; they are removed at the end.
    """

    def __init__(self, directory: Path) -> None:
        self._paths = {split: directory / f"{split}-rows.tmp" for split in SPLITS}
        self._files: dict[str, BinaryIO] = {}
        self._rows = 0

    def __enter__(self) -> RowHashes:
        for split, path in self._paths.items():
            self._files[split] = path.open("w+b")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for split, path in self._paths.items():
            self._files[split].close()
            path.unlink(missing_ok=True)

    def add(self, split: str, hashes: np.ndarray) -> None:
        """Add rows.

        Args:
            split: Their split.
            hashes: From :func:`row_hashes`.
        """
        self._rows += len(hashes)
        self._files[split].write(hashes.data)

    def counts(self) -> dict[str, int]:
        """How many rows of each other split also occur in the training split."""
        found = dict.fromkeys(("validation", "test"), 0)
        parts = -(-self._rows // IN_MEMORY) or 1
        for part in range(parts):
            train = np.sort(self._read("train", part, parts))
            for split in found:
                rows = np.sort(self._read(split, part, parts))  # found in turn, near each other
                if len(train) and len(rows):
                    places = np.searchsorted(train, rows)
                    found[split] += int((train[places.clip(max=len(train) - 1)] == rows).sum())
        return found

    def _read(self, split: str, part: int, parts: int) -> np.ndarray:
        """The hashes that are in one part of all."""
        file = self._files[split]
        file.flush()
        file.seek(0)
        kept = []
        while block := file.read(8 * READ):
            hashes = np.frombuffer(block, np.uint64)
            kept.append(hashes[hashes % np.uint64(parts) == part] if parts > 1 else hashes)
        return np.concatenate(kept) if kept else np.zeros(0, np.uint64)


def row_hashes(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """A hash of each row, ``(rows,)`` uint64: of its bits, so that only equal rows share one.

    Args:
        arrays: The inputs, each ``(rows, ...)`` of values of 4 bytes, such as float32 and int32.
    """
    hashes = np.zeros(len(arrays[0]), np.uint64)
    for start in range(0, len(hashes), BLOCK):
        block = [array[start : start + BLOCK] for array in arrays]
        _mix(block, hashes[start : start + BLOCK])
    return hashes


def _mix(arrays: Sequence[np.ndarray], hashes: np.ndarray) -> None:
    """Mix the values of rows into their hashes, as SplitMix64 does, two values at a time.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014.
    """
    word, shifted = np.empty_like(hashes), np.empty_like(hashes)
    for array in arrays:
        words = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint32)
        even = words.shape[1] // 2 * 2
        for column in (*words[:, :even].view(np.uint64).T, *words[:, even:].T):
            word[:] = column
            np.bitwise_xor(hashes, word, out=hashes)
            np.add(hashes, np.uint64(0x9E3779B97F4A7C15), out=hashes)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                np.right_shift(hashes, np.uint64(shift), out=shifted)
                np.bitwise_xor(hashes, shifted, out=hashes)
                np.multiply(hashes, np.uint64(factor), out=hashes)
            np.right_shift(hashes, np.uint64(31), out=shifted)
            np.bitwise_xor(hashes, shifted, out=hashes)


def notes(counts: Mapping[str, int], rows: Mapping[str, int]) -> list[str]:
    """A line for each split that has rows of the training split.

    Args:
        counts: From :meth:`RowHashes.counts`.
        rows: How many rows each split has.
    """
    return [
        f"{count:,} of {rows[split]:,} {split} samples also occur in the training split"
        if rows[split] > 1
        else f"the {split} sample also occurs in the training split"
        for split, count in counts.items()
        if count
    ]

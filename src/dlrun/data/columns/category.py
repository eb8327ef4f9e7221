"""Categories: ids for an embedding, or one-hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.columns import CATEGORIES, NUMBERS, read_texts
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import (
    cells_of_classes,
    count_values,
    index_of_class,
    to_texts,
)

if TYPE_CHECKING:
    import pyarrow as pa

ENCODINGS = ("auto", "ids", "one_hot")
UNSEEN, MISSING, RARE = range(3)  # the ids before those of the categories
ONE_HOT = 16  # encoding=auto takes ids for more categories


@dataclass(frozen=True)
class Category:
    """A column of categories.

    Args:
        name: The column.
        encoding: ``ids``: 0 for a category that training did not see, 1 if it is missing, 2 for a
            rare one, then the categories from 3. ``one_hot``: a value for each, and for missing
            and rare ones; all are 0 for an unseen one.
        categories: Those of the training split that are frequent enough, the most frequent first.
        rare: Those of the training split that are not.
    """

    name: str
    encoding: str
    categories: tuple[str, ...]
    rare: tuple[str, ...] = ()

    @property
    def input(self) -> str:
        """See :class:`dlrun.data.columns.Column`."""
        return CATEGORIES if self.encoding == "ids" else NUMBERS

    @property
    def cells(self) -> Cells:
        """See :class:`dlrun.data.columns.Column`."""
        return cells_of_classes((*self.categories, *self.rare))

    @property
    def width(self) -> int:
        """See :class:`dlrun.data.columns.Column`."""
        return 1 if self.encoding == "ids" else 2 + len(self.categories)

    @property
    def sizes(self) -> tuple[int, ...]:
        """See :class:`dlrun.data.columns.Column`."""
        return (3 + len(self.categories),) if self.encoding == "ids" else ()

    def encode(self, values: pa.Array, out: np.ndarray) -> None:
        """See :class:`dlrun.data.columns.Column`."""
        ids = self.ids(values)
        if self.encoding == "ids":
            out[:, 0] = ids
        else:
            seen = np.flatnonzero(ids != UNSEEN)
            out[seen, ids[seen] - 1] = 1

    def ids(self, values: pa.Array) -> np.ndarray:
        """The id of each row, ``(rows,)`` int32, whatever the encoding."""
        found = index_of_class(values, (*self.categories, *self.rare))
        ids = np.where(found < len(self.categories), found + 3, RARE).astype(np.int32)
        ids[found < 0] = UNSEEN
        ids[values.is_null().to_numpy(zero_copy_only=False)] = MISSING
        return ids

    def unseen(self, values: pa.Array) -> int:
        """How many values training did not see."""
        return int((self.ids(values) == UNSEEN).sum())

    @classmethod
    def from_state(cls, name: str, state: dict[str, Any]) -> Category:
        """See :class:`dlrun.data.columns.Column`."""
        if state["encoding"] not in ENCODINGS[1:]:
            raise ValueError(f"column {name!a:.80} has an unknown encoding")
        categories, rare = read_texts(state["categories"]), read_texts(state["rare"])
        return cls(name, state["encoding"], tuple(categories), tuple(rare))


class Fitter:
    """Counts categories; see :mod:`dlrun.data.columns`.

    Args:
        name: The column.
        encoding: ``auto``: one_hot for up to 16 categories, ids for more.
        min_count: Categories that occur less often in the training split are rare.
        max_categories: All but the most frequent ones are rare.
    """

    OPTIONS = ("encoding", "min_count", "max_categories")

    def __init__(
        self, name: str, encoding: str = "auto", min_count: int = 1, max_categories: int = 10_000
    ) -> None:
        if encoding not in ENCODINGS:
            raise ValueError(
                f"column '{name}': encoding is {encoding}, expected {', '.join(ENCODINGS)}"
            )
        self._name, self._encoding = name, encoding
        self._min_count, self._most = min_count, max_categories
        self._counts: dict[str, int] = {}

    def update(self, values: pa.Array) -> None:
        """Add a batch."""
        count_values(self._counts, to_texts(values))

    def result(self) -> Category:
        """The fitted column."""
        ordered = sorted(self._counts, key=lambda text: (-self._counts[text], text))
        enough = [text for text in ordered if self._counts[text] >= self._min_count][: self._most]
        rare = ordered[len(enough) :]
        encoding = self._encoding
        if encoding == "auto":
            encoding = "one_hot" if len(enough) <= ONE_HOT else "ids"
        return Category(self._name, encoding, tuple(enough), tuple(rare))

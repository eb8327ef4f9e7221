"""Texts: the ids of their words, for an embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.columns import count_values, index_in, read_texts, to_texts

if TYPE_CHECKING:
    import pyarrow as pa

PADDING, UNKNOWN = 0, 1
BETWEEN_WORDS = r"[^\p{L}\p{N}_']+"


@dataclass(frozen=True)
class Text:
    """A column of texts: ``(length,)`` ids of words, 0 for padding, 1 for an unknown word.

    A text is in lower case, split at what is neither letter nor digit, and cut at ``length``; one
    without words is one unknown word, as a model may not take padding alone.

    Args:
        name: The column.
        length: Words of a row.
        words: The vocabulary, most frequent first; their ids begin at 2.
    """

    name: str
    length: int
    words: tuple[str, ...]

    @property
    def input(self) -> str:
        """See :class:`dlrun.data.columns.Column`."""
        return self.name

    @property
    def width(self) -> int:
        """See :class:`dlrun.data.columns.Column`."""
        return self.length

    @property
    def sizes(self) -> tuple[int, ...]:
        """See :class:`dlrun.data.columns.Column`."""
        return (2 + len(self.words),)

    def encode(self, values: pa.Array, out: np.ndarray) -> None:
        """See :class:`dlrun.data.columns.Column`."""
        words, lengths = split_words(values)
        ids = index_in(words, self.words, -1) + 2
        starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        kept = np.minimum(lengths, self.length)
        rows = np.repeat(np.arange(len(lengths)), kept)
        places = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
        out[rows, places] = ids[np.repeat(starts, kept) + places]
        out[lengths == 0, 0] = UNKNOWN

    def state(self) -> dict[str, Any]:
        """See :class:`dlrun.data.columns.Column`."""
        return {"length": self.length, "words": list(self.words)}

    @classmethod
    def from_state(cls, name: str, state: dict[str, Any]) -> Text:
        """See :class:`dlrun.data.columns.Column`."""
        length, words = state["length"], read_texts(state["words"])
        if type(length) is not int or not 0 < length <= 2**20:
            raise ValueError(f"the state of column {name!a:.80} is damaged")
        return cls(name, length, tuple(words))


class Fitter:
    """Counts words; see :mod:`dlrun.data.columns`.

    Args:
        name: The column.
        vocabulary_size: Ids are below it; the most frequent words get one.
        length: Words of a row.
    """

    OPTIONS = ("vocabulary_size", "length")

    def __init__(self, name: str, vocabulary_size: int = 10_000, length: int = 128) -> None:
        if vocabulary_size < 3 or length < 1:
            raise ValueError(f"column '{name}': needs a vocabulary_size from 3 and a length from 1")
        self._name, self._size, self._length = name, vocabulary_size, length
        self._counts: dict[str, int] = {}

    def update(self, values: pa.Array) -> None:
        """Add a batch."""
        count_values(self._counts, split_words(values)[0])

    def fitted(self) -> Text:
        """The fitted column."""
        ordered = sorted(self._counts, key=lambda word: (-self._counts[word], word))
        return Text(self._name, self._length, tuple(ordered[: self._size - 2]))


def split_words(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """All words of all rows, one after the other, and how many each row has, ``(rows,)`` int64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_lower(pc.fill_null(to_texts(values), ""))
    lists = pc.split_pattern_regex(texts, BETWEEN_WORDS)
    words, rows = lists.flatten(), pc.list_parent_indices(lists)
    filled = pc.not_equal(words, "")
    words, rows = words.filter(filled), rows.filter(filled)
    lengths = np.bincount(rows.to_numpy(), minlength=len(values)).astype(np.int64)
    return words if len(words) else pa.array([], pa.string()), lengths

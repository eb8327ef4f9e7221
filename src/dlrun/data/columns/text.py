"""Texts: the ids of their words, for an embedding."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.columns import CATEGORIES, NUMBERS, read_texts
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import index_in, to_texts

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.tabular.profile import ColumnProfile

UNKNOWN = 1  # 0 is padding
AUTO = "auto"
FITS = 0.95  # length=auto: the share of the training texts that are not cut ...
MAX_AUTO = 256  # ... unless that takes more words: attention takes their square
MAX_LENGTH = 2**20
SLICE_BYTES = 16 * 2**20  # of texts split at once, which takes about ten times as much
# Other than ASCII. Marks belong to the letter before them, as in Hindi and in decomposed accents.
NO_WORD = r"[^\x00-\x7F\p{L}\p{M}\p{N}]+"
APOSTROPHES = "[\u2018\u2019\u02bc\uff07]"
# What may be one letter in two ways: marks, Korean parts, polytonic Greek, compatibility forms.
TWO_WAYS = r"[\p{M}\x{1100}-\x{11FF}\x{1F00}-\x{1FFF}\x{2126}\x{212A}\x{212B}\x{F900}-\x{FAFF}]"
# Scripts without spaces between words: each character is a word.
NO_SPACES = r"([\p{Han}\p{Hiragana}\p{Katakana}])"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class Text:
    """A column of texts: ``(length,)`` ids of words, 0 for padding, 1 for an unknown word.

    A text is split at what is neither letter, digit, underscore nor apostrophe, and cut at
    ``length``; one without words is one unknown word, as a model may not take padding alone.

    Args:
        name: The column.
        length: Words of a row.
        lower: Whether texts are in lower case.
        words: The vocabulary, most frequent first; their ids begin at 2.
    """

    name: str
    length: int
    lower: bool
    words: tuple[str, ...]

    cells = Cells.TEXTS

    @property
    def input(self) -> str:
        """The column's name, or where a layer can't have it, one that is made of it."""
        if PLAIN_NAME.fullmatch(self.name) and self.name not in (NUMBERS, CATEGORIES):
            return self.name
        digest = blake2b(self.name.encode(), digest_size=3).hexdigest()
        return re.sub(r"[^A-Za-z0-9]+", "_", f"text_{self.name[:40]}_{digest}")

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
        first = 0
        for words, codes, lengths in split_words(values, lower=self.lower):
            ids = (index_in(words, self.words, -1) + 2)[codes]
            kept = np.minimum(lengths, self.length)
            ends = np.cumsum(kept)
            places = np.arange(kept.sum()) - np.repeat(ends - kept, kept)
            starts = np.cumsum(lengths) - lengths
            rows = np.repeat(np.arange(len(lengths)), kept)
            part = out[first : first + len(lengths)]
            part[rows, places] = ids[np.repeat(starts, kept) + places]
            part[lengths == 0, 0] = UNKNOWN
            first += len(lengths)

    @classmethod
    def from_state(cls, name: str, state: dict[str, Any]) -> Text:
        """See :class:`dlrun.data.columns.Column`."""
        length, lower, words = state["length"], state["lower"], read_texts(state["words"])
        if type(length) is not int or not 0 < length <= MAX_LENGTH or type(lower) is not bool:
            raise ValueError(f"the state of column {name!a:.80} is damaged")
        return cls(name, length, lower, tuple(words))


class Fitter:
    """Counts words; see :mod:`dlrun.data.columns`.

    Args:
        name: The column.
        vocabulary_size: Ids are below it; the most frequent words get one, of equally frequent ones
            the first in alphabetical order.
        length: Words of a row. ``auto``: the fewest that 95% of the training texts fit into, at
            most 256.
        lower: Whether texts are put in lower case.
    """

    OPTIONS = ("vocabulary_size", "length", "lower")

    def __init__(
        self, name: str, vocabulary_size: int = 10_000, length: int | str = AUTO, lower: bool = True
    ) -> None:
        if type(vocabulary_size) is not int or vocabulary_size < 3:
            raise ValueError(
                f"column '{name}': vocabulary_size is {vocabulary_size}, expected a number from 3"
            )
        if length != AUTO and not (type(length) is int and 0 < length <= MAX_LENGTH):
            raise ValueError(
                f"column '{name}': length is {length}, expected {AUTO}, or from 1 to {MAX_LENGTH:,}"
            )
        if type(lower) is not bool:
            raise ValueError(f"column '{name}': lower is {lower}, expected true or false")
        self._name, self._size, self._length, self._lower = name, vocabulary_size, length, lower
        self._counts: Counter[str] = Counter()
        self._rows_of_length = np.zeros(MAX_AUTO + 1, np.int64)

    def update(self, values: pa.Array) -> None:
        """Add a batch."""
        for words, codes, lengths in split_words(values, lower=self._lower):
            counts = np.bincount(codes, minlength=len(words))
            for word, count in zip(words.to_pylist(), counts.tolist(), strict=True):
                self._counts[word] += count
            cut = np.minimum(lengths, MAX_AUTO)
            self._rows_of_length += np.bincount(cut, minlength=MAX_AUTO + 1)

    def result(self) -> Text:
        """The fitted column."""
        counts = self._counts
        ordered = sorted(filter(None, counts), key=lambda word: (-counts[word], word))
        length = self._length
        if isinstance(length, str):
            fitting = np.cumsum(self._rows_of_length)
            length = max(1, int((fitting >= FITS * fitting[-1]).argmax()))
        return Text(self._name, length, self._lower, tuple(ordered[: self._size - 2]))


def takes(profile: ColumnProfile) -> bool:
    """See :mod:`dlrun.data.columns`."""
    many = profile.distinct is None or profile.distinct > max(50, profile.rows // 20)
    return profile.type == "string" and many and profile.words >= 3


def split_words(
    values: pa.Array, *, lower: bool
) -> Iterator[tuple[pa.Array, np.ndarray, np.ndarray]]:
    """Split texts, some rows at a time, so that memory does not grow with their number.

    Args:
        values: Of any type; missing ones have no words.
        lower: Whether to put them in lower case.

    Yields:
        Words, in which one may be twice; for each word of each row in turn its index in them,
        ``(words of all rows,)`` int32; and how many each row has, ``(rows,)`` int64.
    """
    texts = to_texts(values)
    rows = max(1, int(len(texts) * min(1.0, SLICE_BYTES / max(texts.nbytes, 1))))
    for first in range(0, len(texts), rows):
        yield _split(_normal(texts[first : first + rows], lower))


def _split(texts: pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    import pyarrow.compute as pc

    lists = pc.ascii_split_whitespace(texts)
    encoded = lists.flatten().dictionary_encode()
    codes: np.ndarray = encoded.indices.to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    words = pc.utf8_trim(encoded.dictionary, "'")  # quotation marks, not apostrophes
    is_empty = pc.equal(words, "").to_numpy(zero_copy_only=False)
    if is_empty.any():  # before the first word, and after the last one
        empty = is_empty[codes]
        rows = np.searchsorted(np.cumsum(lengths), np.flatnonzero(empty), side="right")
        lengths = lengths - np.bincount(rows, minlength=len(lengths))
        codes = codes[~empty]
    return words, codes, lengths


def _normal(texts: pa.Array, lower: bool) -> pa.Array:
    """Words with spaces between them, always the same characters for a word.

    A function of each row alone. Regular expressions see only the rows that need them: splitting by
    one takes three times as long.
    """
    import pyarrow.compute as pc

    texts = pc.fill_null(texts, "")
    if lower:
        texts = pc.utf8_lower(texts)
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        texts = _where(TWO_WAYS, texts, _composed)
        for pattern, by in ((APOSTROPHES, "'"), (NO_SPACES, r" \1 "), (NO_WORD, " ")):
            replace = partial(pc.replace_substring_regex, pattern=pattern, replacement=by)
            texts = _where(pattern, texts, replace)
    return _with_spaces(texts)


def _composed(texts: pa.Array) -> pa.Array:
    """The texts in NFC; what pyarrow before 26 calls so is not."""
    import pyarrow as pa

    return pa.array([unicodedata.normalize("NFC", text) for text in texts.to_pylist()], pa.string())


def _where(pattern: str, texts: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The texts with those changed that match."""
    import pyarrow.compute as pc

    mask = pc.match_substring_regex(texts, pattern)
    if not pc.any(mask).as_py():
        return texts
    return pc.replace_with_mask(texts, mask, change(texts.filter(mask)))


def _with_spaces(texts: pa.Array) -> pa.Array:
    """The texts with a space for each ASCII character that belongs to no word."""
    import pyarrow as pa

    _, offsets, data = texts.buffers()
    if data is None:
        return texts
    # A slice shares the buffers of the whole.
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    spaced = TO_SPACES[np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]]
    buffers = [None, pa.py_buffer(ends - ends[0]), pa.py_buffer(spaced)]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers)


def _spaces() -> np.ndarray:
    codes = np.arange(256, dtype=np.uint8)
    is_word = [code >= 128 or chr(code).isalnum() or chr(code) in "_'" for code in range(256)]
    return np.where(is_word, codes, np.uint8(ord(" ")))


TO_SPACES = _spaces()

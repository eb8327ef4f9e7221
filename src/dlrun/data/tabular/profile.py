"""What is in a table: types, missing values, classes, and the kind of each column."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlrun.data import columns
from dlrun.data.tabular.column_types import TYPES, is_other, type_name
from dlrun.data.tabular.column_values import (
    WrongValueError,
    add_counts,
    count_values,
    to_seconds,
    to_texts,
)
from dlrun.data.tabular.number_types import LARGE, NUMERIC, to_floats

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DISTINCT = 10_000  # counted; a column with more has many
SLICE = 2 * MAX_DISTINCT  # values counted at once
EXAMPLES = 5
TOP = 20
IDENTIFIER = re.compile(r"(^|[_\W])(id|uuid|guid|index|key)$", re.IGNORECASE)
OTHER = "other"  # the kind of a column whose values nothing reads
MANY_CLASSES = 20  # an integer target with more different values is a number


@dataclass
class ColumnProfile:
    """One column of a table.

    Args:
        name: Its name.
        type: One of :data:`dlrun.data.tabular.column_types.TYPES`, or that of values which nothing
            reads.
        rows: How many rows the table has.
        missing: How many have no value.
        distinct: How many different values there are; None for more than 10,000, and where nothing
            reads them.
        counts: How often each occurs, the most frequent first; empty if there are too many.
        low: The smallest number, or the earliest time in seconds since 1970; None for others.
        high: The largest.
        mean: The mean of numbers.
        words: The mean number of words of texts.
        numeric: The share of the texts that are numbers.
        wrong: The first row whose text is not a number, and the text; None if all are.
        dated: The share of the texts that are dates such as 2026-11-28.
        undated: A row whose text is not a date, and the text; None if all are.
        examples: Some values.
    """

    name: str
    type: str
    rows: int = 0
    missing: int = 0
    distinct: int | None = 0
    counts: dict[str, int] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    words: float = 0.0
    numeric: float = 0.0
    wrong: tuple[int, str] | None = None
    dated: float = 0.0
    undated: tuple[int, str] | None = None
    examples: list[str] = field(default_factory=list)

    @property
    def is_unique(self) -> bool:
        """Whether each row may have a value of its own: all that were counted have."""
        return self.distinct is None or (
            self.rows > 1 and self.distinct == self.rows - self.missing
        )

    @property
    def kind(self) -> str:
        """The kind of column that it is taken for, or why it is left out."""
        if self.type not in TYPES:
            return OTHER
        if self.missing == self.rows:
            return "empty"
        if self.distinct == 1 and not self.missing:
            return "constant"
        if self._looks_like_id():
            return "id"
        return "list" if self.type.startswith("list") else columns.kind_for(self)

    def _looks_like_id(self) -> bool:
        if not self.is_unique or self.type in ("double", "bool") or self.rows < 3:
            return False
        if self.type in ("int64", LARGE):
            # A row number, or called an id. Other integers may all differ by chance.
            runs = self.low in (0, 1) and self.high == self.low + self.rows - self.missing - 1
            return bool(IDENTIFIER.search(self.name)) or (bool(runs) and self.distinct is not None)
        return self.type == "string" and self.words < 1.5 and self.dated < 1

    @property
    def target_kind(self) -> str:
        """The task that fits, if it is the target; see :data:`dlrun.data.targets.KINDS`."""
        if self.type.startswith("list"):
            return "multilabel"
        classes = self.distinct
        if self.type in (LARGE, "double") and set(self.counts) != {"0", "1"}:
            return "regression"
        if self.type == "int64" and not (classes and self._are_class_numbers(classes)):
            return "regression"
        return "binary_classification" if classes == 2 else "classification"

    def _are_class_numbers(self, classes: int) -> bool:
        """Whether few integers without large gaps may be the numbers of classes."""
        assert self.low is not None
        assert self.high is not None
        return classes == 2 or (classes <= MANY_CLASSES and self.high - self.low < 2 * classes)

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON holds it."""
        counts = dict(itertools.islice(self.counts.items(), MAX_DISTINCT))
        return {**vars(self), "counts": counts}  # asdict() would copy each value


def profile_table(batches: Iterable[pa.RecordBatch]) -> dict[str, ColumnProfile]:
    """Profile every column, in the table's order.

    Args:
        batches: With columns as :mod:`dlrun.data.tabular.column_types` reads them.
    """
    found: dict[str, ColumnProfile] = {}
    numbers: dict[str, _Numbers] = {}
    row = 0
    with ThreadPoolExecutor(max_workers=2) as pool:  # pyarrow works without Python's lock
        for batch in batches:
            for name, array in zip(batch.schema.names, batch.columns, strict=True):
                found.setdefault(name, ColumnProfile(name, type_name(array.type)))
                numbers.setdefault(name, _Numbers())
            rows = itertools.repeat(row)
            list(pool.map(_add, found.values(), numbers.values(), batch.columns, rows))
            row += len(batch)
    for name, profile in found.items():
        _finish(profile, numbers[name])
    return found


class _Numbers:
    """The mean and the ends of numbers that come in batches."""

    def __init__(self) -> None:
        self.count, self.mean = 0, 0.0
        self.low, self.high = math.inf, -math.inf

    def update(self, values: pa.Array) -> None:
        """Add numbers without missing ones; infinite ones are left out."""
        import pyarrow.compute as pc

        mean = pc.mean(values).as_py()
        if mean is not None and not math.isfinite(mean):
            values = values.filter(pc.is_finite(values))
            mean = pc.mean(values).as_py()
        if mean is None:
            return
        array = values.to_numpy()  # whose ends are found in a fifth of pyarrow's time
        self.count += len(values)
        self.mean += (mean - self.mean) * len(values) / self.count
        self.low = min(self.low, float(array.min()))
        self.high = max(self.high, float(array.max()))
        if self.low == self.high:  # whose mean may be off by a rounding
            self.mean = self.low


def _add(profile: ColumnProfile, numbers: _Numbers, array: pa.Array, row: int) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if is_other(array.type):
        profile.rows += len(array)
        profile.missing += array.null_count
        profile.distinct = None
        return
    there = array.drop_null()
    first = profile.rows == profile.missing  # no value so far
    profile.rows += len(array)
    profile.missing += array.null_count
    if not len(there):
        return
    if len(profile.examples) < EXAMPLES:
        some = there[:EXAMPLES]
        for value in (to_texts(some) if pa.types.is_timestamp(some.type) else some).to_pylist():
            if len(profile.examples) < EXAMPLES and str(value) not in profile.examples:
                profile.examples.append(str(value)[:200])
    if pa.types.is_list(array.type):
        count_values(profile.counts, pc.utf8_trim_whitespace(there.flatten()))
        profile.distinct = len(profile.counts)
        return
    if profile.type in NUMERIC:
        numbers.update(to_floats(there) if profile.type == LARGE else there)
    elif pa.types.is_timestamp(array.type):
        numbers.update(pc.divide(there.cast(pa.int64()).cast(pa.float64()), 1e6))
    elif pa.types.is_string(array.type):
        counted = there.value_counts()
        _add_text(profile, array, counted, row, first)
        if profile.distinct is not None:
            _add_counts(profile, counted)
        return
    if profile.distinct is not None:
        _count(profile, there)


def _count(profile: ColumnProfile, there: pa.Array) -> None:
    """Count the values, until there are too many different ones."""
    for start in range(0, len(there), SLICE):
        _add_counts(profile, to_texts(there[start : start + SLICE]).value_counts())
        if profile.distinct is None:
            return


def _add_counts(profile: ColumnProfile, counted: pa.StructArray) -> None:
    if len(counted) <= MAX_DISTINCT:  # most columns soon have more
        add_counts(profile.counts, counted)
    profile.distinct = max(len(counted), len(profile.counts))
    if profile.distinct > MAX_DISTINCT:
        profile.distinct, profile.counts = None, {}


def _add_text(
    profile: ColumnProfile, array: pa.Array, counted: pa.StructArray, row: int, first: bool
) -> None:
    """Look at each different text once, and weight it by how often it occurs."""
    import pyarrow.compute as pc

    texts, counts = counted.field("values"), counted.field("counts")
    there = len(array) - array.null_count
    before = profile.rows - profile.missing - there
    words = pc.multiply(pc.add(pc.count_substring_regex(texts, r"\s+"), 1), counts)
    profile.words = (profile.words * before + float(pc.sum(words).as_py())) / (before + there)
    numeric = pc.match_substring_regex(texts, r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")
    share = float(pc.sum(pc.if_else(numeric, counts, 0)).as_py())
    profile.numeric = (profile.numeric * before + share) / (before + there)
    if profile.wrong is None and share < there:
        wrong = texts.filter(pc.invert(numeric))[0]  # texts are in the order of their first rows
        profile.wrong = (row + pc.index(array, wrong).as_py(), wrong.as_py()[:200])
    if first or profile.dated:
        dates, undated = _count_dates(texts, counts)
        profile.dated = (profile.dated * before + dates) / (before + there)
        if profile.undated is None and undated is not None:
            profile.undated = (row + pc.index(array, undated).as_py(), undated.as_py()[:200])


def _count_dates(texts: pa.Array, counts: pa.Array) -> tuple[float, pa.Scalar | None]:
    """How often a text occurs that is a date, and one that is not."""
    import pyarrow.compute as pc

    shaped = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d([ T].*)?$")
    dates = float(pc.sum(pc.if_else(shaped, counts, 0)).as_py())
    others = texts.filter(pc.invert(shaped))
    try:
        to_seconds("", texts.filter(shaped))
    except WrongValueError as error:  # such as 2026-02-30
        number = pc.index(texts, error.value).as_py()
        return dates - counts[number].as_py(), texts[number]
    return dates, others[0] if len(others) else None


def _finish(profile: ColumnProfile, numbers: _Numbers) -> None:
    if numbers.count:
        profile.low, profile.high, profile.mean = numbers.low, numbers.high, numbers.mean
    ordered = sorted(profile.counts.items(), key=lambda item: (-item[1], item[0]))
    profile.counts = dict(ordered)
    if profile.numeric == 1:
        profile.wrong = None

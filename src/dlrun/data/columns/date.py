"""Dates and times: as a time line, and as places in the year, the week and the day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.columns import NUMBERS, read_numbers
from dlrun.data.columns.number import Moments
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import to_seconds

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.tabular.profile import ColumnProfile

DAY = 86_400.0
DAY_FIRST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2\d{4}([ T]\d{1,2}:\d\d(:\d\d)?)?")
# The length of each cycle in seconds, counted from a Thursday, 1970-01-01.
CYCLES = {"year": 365.2425 * DAY, "week": 7 * DAY, "day": DAY}


@dataclass(frozen=True)
class Date:
    """A column of dates: the standardized time, and the sine and cosine of each cycle.

    Args:
        name: The column.
        format: Of texts, as in ``strptime``; None for ISO 8601.
        mean: Of the training split, in seconds since 1970.
        deviation: Of the training split, in seconds.
        cycles: Those that the training split goes through: of ``year``, ``week`` and ``day``.
        indicator: Whether a last value says that it was missing, 1 or 0.
    """

    name: str
    format: str | None
    mean: float
    deviation: float
    cycles: tuple[str, ...]
    indicator: bool

    input = NUMBERS
    cells = Cells.VALUES
    sizes = ()

    @property
    def width(self) -> int:
        """See :class:`dlrun.data.columns.Column`."""
        return 1 + 2 * len(self.cycles) + self.indicator

    def encode(self, values: pa.Array, out: np.ndarray) -> None:
        """See :class:`dlrun.data.columns.Column`."""
        seconds = to_seconds(self.name, values, self.format)
        missing = np.isnan(seconds)
        seconds = np.where(missing, self.mean, seconds)
        out[:, 0] = (seconds - self.mean) / self.deviation
        for number, cycle in enumerate(self.cycles):
            angle = seconds / CYCLES[cycle] * 2 * np.pi
            out[:, 2 * number + 1] = np.where(missing, 0, np.sin(angle))
            out[:, 2 * number + 2] = np.where(missing, 0, np.cos(angle))
        if self.indicator:
            out[:, -1] = missing

    @classmethod
    def from_state(cls, name: str, state: dict[str, Any]) -> Date:
        """See :class:`dlrun.data.columns.Column`."""
        mean, deviation = read_numbers([state["mean"], state["deviation"]])
        cycles, form = state["cycles"], state["format"]
        known = isinstance(cycles, list) and all(cycle in CYCLES for cycle in cycles)
        if deviation <= 0 or not known or not isinstance(form, str | None):
            raise ValueError(f"the state of column {name!a:.80} is damaged")
        return cls(name, form, mean, deviation, tuple(cycles), bool(state["indicator"]))


class Fitter:
    """Measures dates; see :mod:`dlrun.data.columns`.

    Args:
        name: The column.
        format: Of texts, as in ``strptime``; None for ISO 8601.
    """

    OPTIONS = ("format",)

    def __init__(self, name: str, format: str | None = None) -> None:
        self._name, self._format = name, format
        self._moments, self._has_missing, self._has_times = Moments(), False, False

    def update(self, values: pa.Array) -> None:
        """Add a batch."""
        seconds = to_seconds(self._name, values, self._format)
        there = seconds[~np.isnan(seconds)]
        self._has_missing |= len(there) < len(seconds)
        self._has_times |= bool((there % DAY != 0).any())
        self._moments.update(there)

    def result(self) -> Date:
        """The fitted column."""
        of = self._moments
        span = of.high - of.low if of.count else 0.0
        cycles = [name for name, seconds in CYCLES.items() if name != "day" and span >= seconds / 2]
        cycles += ["day"] if self._has_times else []
        deviation = of.deviation or 1.0
        return Date(self._name, self._format, of.mean, deviation, tuple(cycles), self._has_missing)


def takes(profile: ColumnProfile) -> bool:
    """See :mod:`dlrun.data.columns`."""
    return profile.type.startswith("timestamp") or profile.dated == 1


def date_format(texts: Sequence[str]) -> str | None:
    """The format of texts that look like 28.11.2026, 11/28/2026 or 28-11-2026; None for others.

    A time may follow, as in 28.11.2026 04:00.
    """
    found = [DAY_FIRST.fullmatch(text) for text in texts]
    if not found or not all(found):
        return None
    parts = [match.groups("") for match in found if match]
    forms = {(sign, time[:1], time.count(":")) for _, sign, _, time, _ in parts}
    if len(forms) > 1:
        return None
    [(sign, between, colons)] = forms
    american = sign == "/" and all(int(first) <= 12 for first, *_ in parts)
    order = ("%m", "%d", "%Y") if american else ("%d", "%m", "%Y")
    return sign.join(order) + between + ("", "%H:%M", "%H:%M:%S")[colons]

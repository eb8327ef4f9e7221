"""Numbers: scaled, with an indicator where training data have missing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.columns import NUMBERS, read_numbers
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import FLOAT32, IN_FLOAT32, WrongValueError, to_numbers
from dlrun.data.tabular.number_types import NUMERIC
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.tabular.profile import ColumnProfile

SCALES = ("standardize", "min_max", "log", "quantile", "none")
QUANTILES = 1001


@dataclass(frozen=True)
class Number:
    """A column of numbers.

    Args:
        name: The column.
        scale: ``standardize``: mean 0 and standard deviation 1 of the population. ``min_max``: from
            0 to 1. ``log``: ``sign(x) * log(1 + |x|)``, then as standardize. ``quantile``: the
            share of the training values below it. ``none``: as it is.
        offset: Subtracted before the division.
        divisor: Above 0.
        fill: What takes the place of a missing value, in the column's units: the mean.
        indicator: Whether a second value says that it was missing, 1 or 0.
        quantiles: For ``quantile``, those of the training values, ascending.
    """

    name: str
    scale: str
    offset: float
    divisor: float
    fill: float
    indicator: bool
    quantiles: tuple[float, ...] = ()

    input = NUMBERS
    cells = Cells.NUMBERS
    sizes = ()

    @property
    def width(self) -> int:
        """See :class:`dlrun.data.columns.Column`."""
        return 1 + self.indicator

    def encode(self, values: pa.Array, out: np.ndarray) -> None:
        """See :class:`dlrun.data.columns.Column`."""
        numbers = to_numbers(self.name, values)
        if values.null_count:
            missing = np.isnan(numbers)
            numbers = np.where(missing, self.fill, numbers)
            if self.indicator:
                out[:, 1] = missing
        if self.scale == "quantile":
            shares = np.linspace(0, 1, len(self.quantiles))
            out[:, 0] = np.interp(numbers, self.quantiles, shares)
        else:
            scaled = _log(numbers) if self.scale == "log" else numbers
            with np.errstate(over="ignore"):  # refused by row
                out[:, 0] = (scaled - self.offset) / self.divisor
            refuse_infinite(self.name, values, out[:, 0])

    @classmethod
    def from_state(cls, name: str, state: dict[str, Any]) -> Number:
        """See :class:`dlrun.data.columns.Column`."""
        offset, divisor, fill = read_numbers([state[k] for k in ("offset", "divisor", "fill")])
        quantiles = tuple(read_numbers(state["quantiles"]))
        if divisor <= 0 or state["scale"] not in SCALES or not isinstance(state["indicator"], bool):
            raise ValueError(f"the state of column {name!a:.80} is damaged")
        if state["scale"] == "quantile" and len(quantiles) < 2:
            raise ValueError(f"column {name!a:.80} has no quantiles")
        return cls(name, state["scale"], offset, divisor, fill, state["indicator"], quantiles)


class Fitter:
    """Measures a column of numbers; see :mod:`dlrun.data.columns`.

    Args:
        name: The column.
        scale: One of :data:`SCALES`.
    """

    OPTIONS = ("scale",)

    def __init__(self, name: str, scale: str = "standardize") -> None:
        if scale not in SCALES:
            raise ValueError(f"column '{name}': scale is {scale}, expected {', '.join(SCALES)}")
        self._name, self._scale = name, scale
        self._moments, self._logs = Moments(), Moments()
        self._has_missing = False
        self._kept: list[np.ndarray] = []  # quantiles need all values

    def update(self, values: pa.Array) -> None:
        """Add a batch."""
        numbers = to_numbers(self._name, values)
        there = numbers[~np.isnan(numbers)]
        self._has_missing |= len(there) < len(numbers)
        self._moments.update(there)
        if self._scale == "log":
            self._logs.update(_log(there))
        elif self._scale == "quantile":
            self._kept.append(there)

    def result(self) -> Number:
        """The fitted column."""
        of, quantiles = self._moments, ()
        offset, divisor = of.mean, of.deviation
        largest = max(of.high, -of.low)
        if not np.isfinite(divisor) or (self._scale == "none" and largest > FLOAT32):
            raise DlrunError(
                f"data: column '{self._name}' has numbers as large as {largest:g}",
                hint=f"data.columns.{self._name}={{kind: number, scale: quantile}}, or drop it",
            )
        if self._scale == "min_max":
            offset, divisor = of.low, of.high - of.low
        elif self._scale == "log":
            offset, divisor = self._logs.mean, self._logs.deviation
        elif self._scale in ("quantile", "none"):
            offset, divisor = 0.0, 1.0
        if self._scale == "quantile":
            kept = np.concatenate([*self._kept, np.zeros(0 if of.count else 1)])
            shares = np.linspace(0, 1, min(QUANTILES, max(2, len(kept))))
            quantiles = tuple(np.quantile(kept, shares).tolist())
        return Number(
            self._name, self._scale, offset, divisor or 1.0, of.mean, self._has_missing, quantiles
        )


def takes(profile: ColumnProfile) -> bool:
    """See :mod:`dlrun.data.columns`."""
    return profile.type in NUMERIC


def refuse_infinite(name: str, values: pa.Array, scaled: np.ndarray) -> None:
    """Refuse what is infinite in float32, such as 1e300 that is not scaled.

    Args:
        name: The column.
        values: Its values, as for :func:`~dlrun.data.tabular.column_values.to_numbers`.
        scaled: The same as a model sees them, ``(rows,)`` float32.

    Raises:
        WrongValueError: If one is; names the first such row.
    """
    if (infinite := np.isinf(scaled)).any():
        row = int(infinite.argmax())
        raise WrongValueError(name, row, float(to_numbers(name, values)[row]), IN_FLOAT32)


class Moments:
    """Mean and standard deviation of numbers that come in batches, in float64.

    Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm, 1979.
    """

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, 0.0, 0.0
        self.low, self.high = np.inf, -np.inf

    def update(self, numbers: np.ndarray) -> None:
        """Add finite numbers, ``(n,)`` float64."""
        if not len(numbers):
            return
        with np.errstate(over="ignore"):  # reported by fitted()
            mean = float(numbers.mean())
            squares = float(((numbers - mean) ** 2).sum())
        count, delta = self.count, mean - self.mean
        self.count += len(numbers)
        self._squares += squares + delta * delta * count * len(numbers) / self.count
        self.mean += delta * len(numbers) / self.count
        self.low = min(self.low, float(numbers.min()))
        self.high = max(self.high, float(numbers.max()))
        if self.low == self.high:  # whose mean may be off by a rounding
            self.mean, self._squares = self.low, 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of the population; 0 where all are equal."""
        return float(np.sqrt(self._squares / self.count)) if self.count else 0.0


def _log(numbers: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.sign(numbers) * np.log1p(np.abs(numbers))
    return logs

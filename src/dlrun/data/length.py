"""How long a run is, and each of its epochs, in samples and in steps."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from dlrun.system.interval import Every

MOST = 2**63  # what a file may say
FIRST_STEPS = 10  # of the first epoch that the clock ends: there is no speed yet


@dataclass(frozen=True)
class Length:
    """The epochs of a run, each of the same length; the last may be shorter.

    :class:`ClockedLength` is for those that the clock ends.

    An epoch is what ends with a validation, a row and a checkpoint. It goes on with the data where
    the last one ended.

    Args:
        given: Samples of an epoch as ``epochs`` counts them: one pass, or ``steps_per_epoch``.
        epoch: Samples of an epoch: those, or what ``validate_every`` says.
        total: Samples of the run.
        batch_size: Samples of a step; the last step of an epoch may have fewer.
    """

    given: int
    epoch: int
    total: int
    batch_size: int

    @property
    def epochs(self) -> int:
        """The number of epochs; the last may be a part."""
        return -(-self.total // self.epoch)

    @property
    def steps(self) -> int:
        """The steps of the run."""
        return self.steps_until(self.epochs)

    @property
    def given_steps(self) -> float:
        """The steps of an epoch as ``epochs`` counts them; a fraction if others are cut from it."""
        steps = self.given / self.batch_size
        return math.ceil(steps) if self.epoch == self.given else steps

    @property
    def is_usual(self) -> bool:
        """Whether all epochs are whole, and as long as ``epochs`` counts them."""
        return self.epoch == self.given and not self.total % self.epoch

    @property
    def is_known(self) -> bool:
        """Whether it is known how many epochs there are."""
        return True

    def is_cut(self, epoch: int) -> bool:
        """Whether the end of the run cuts an epoch, counted from 0, short."""
        return self.samples_of(epoch) < self.epoch

    def replay(self, ends: Sequence[int]) -> None:
        """Take what the clock has decided in this run before, if it decides anything."""

    def samples_of(self, epoch: int) -> int:
        """The samples of an epoch, counted from 0; one after the end of the run is whole."""
        left = self.total - epoch * self.epoch
        return left if 0 < left < self.epoch else self.epoch

    def steps_of(self, epoch: int) -> int:
        """The steps of an epoch, counted from 0."""
        return math.ceil(self.samples_of(epoch) / self.batch_size)

    def samples_until(self, epochs: int) -> int:
        """The samples of so many epochs, all within the run."""
        return min(epochs * self.epoch, self.total)

    def steps_until(self, epochs: int) -> int:
        """The steps of so many epochs, all within the run."""
        whole, rest = divmod(self.samples_until(epochs), self.epoch)
        return whole * math.ceil(self.epoch / self.batch_size) + math.ceil(rest / self.batch_size)

    def until(self, epochs: int, steps: int = 0) -> Self:
        """The length of training until so many epochs, and steps of the next one."""
        return replace(self, total=self.samples_until(epochs) + steps * self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """In JSON types, as in ``run.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Self | None:
        """The length from :meth:`to_json`; None if it is none, such as of an older run."""
        if not isinstance(values, Mapping) or set(values) != {field.name for field in fields(cls)}:
            return None
        length = cls(**values)
        return length if length.is_valid() else None

    def is_valid(self) -> bool:
        """Whether the numbers, which a file has said, are those of a length."""
        numbers = (self.given, self.epoch, self.total, self.batch_size)
        return all(type(number) is int and 0 < number < MOST for number in numbers)


@dataclass(frozen=True)
class ClockedLength(Length):
    """Epochs that take a given time; at the end of each, the length of the next one is decided.

    So an epoch has a known number of steps once it begins. Decisions are only ever added, and what
    is recorded of them is kept: a resumed run does not take them again.

    Args:
        given: As in :class:`dlrun.data.length.Length`.
        epoch: The most samples that an epoch may have: those of the run.
        total: Samples of the run.
        batch_size: Samples of a step; the last step of the run may have fewer.
        seconds: Of training, in an epoch.
        ends: Samples of training after which each epoch decided so far ends; at least the first.
            The last may be beyond the end of the run, which then cuts that epoch short.
    """

    seconds: float
    ends: list[int]

    @property
    def epochs(self) -> int:
        """The number of epochs; the most that there can be as long as it is not known."""
        decided = bisect_left(self.ends, self.total)
        if decided < len(self.ends):
            return decided + 1
        return decided + math.ceil((self.total - self.ends[-1]) / self.batch_size)

    @property
    def is_known(self) -> bool:
        """Whether it is known how many epochs there are."""
        return self.ends[-1] >= self.total

    @property
    def given_steps(self) -> float:
        """The steps of an epoch as ``epochs`` counts them; a fraction."""
        return self.given / self.batch_size

    @property
    def is_usual(self) -> bool:
        """Never: epochs are not what ``epochs`` counts."""
        return False

    def is_cut(self, epoch: int) -> bool:
        """Whether the end of the run cuts an epoch, counted from 0, short."""
        return epoch < len(self.ends) and self.ends[epoch] > self.total

    def samples_of(self, epoch: int) -> int:
        """The samples of an epoch, counted from 0; one step as long as they are not decided."""
        return (self.samples_until(epoch + 1) - self.samples_until(epoch)) or self.batch_size

    def samples_until(self, epochs: int) -> int:
        """The samples of so many epochs, all within the run."""
        if epochs <= len(self.ends):
            return min(self.ends[epochs - 1], self.total) if epochs else 0
        return min(self.ends[-1] + (epochs - len(self.ends)) * self.batch_size, self.total)

    def steps_until(self, epochs: int) -> int:
        """The steps of so many epochs, all within the run."""
        return math.ceil(self.samples_until(epochs) / self.batch_size)

    def until(self, epochs: int, steps: int = 0) -> Self:
        """The length of training until so many epochs, and steps of the next one."""
        total = self.samples_until(epochs) + steps * self.batch_size
        return replace(self, total=total, ends=self.ends[: epochs + 1])

    def replay(self, ends: Sequence[int]) -> None:
        """Take what was decided in this run before; nothing if nothing was."""
        self.ends[:] = ends or self.ends

    def is_open_after(self, epoch: int) -> bool:
        """Whether the length of the epoch after one, counted from 0, is still to be decided.

        It is, too, where a run ends with an epoch: it may be resumed with more.
        """
        return len(self.ends) == epoch + 1 and self.ends[-1] <= self.total

    def decide(self, steps: int) -> None:
        """Let the next epoch have so many steps."""
        self.ends.append(min(self.ends[-1] + steps * self.batch_size, MOST - 1))

    def is_valid(self) -> bool:
        """Whether the numbers, which a file has said, are those of a length."""
        if not super().is_valid() or not isinstance(self.ends, list) or not self.ends:
            return False
        before = [0, *self.ends]
        return (
            isinstance(self.seconds, int | float)
            and 0 < self.seconds < math.inf
            and all(type(end) is int and end < MOST for end in self.ends)
            and all(a < b for a, b in zip(before, self.ends, strict=False))
        )


def length_of(
    given: int,
    batch_size: int,
    *,
    epochs: float | None,
    max_steps: int | None,
    validate_every: Every | None = None,
) -> Length:
    """The length of a run.

    Args:
        given: As in :class:`Length`, like ``batch_size``.
        batch_size: See there.
        epochs: How many of ``given``; may be a fraction.
        max_steps: The steps after which the run ends, if that is sooner. One of both is given.
        validate_every: How much of training there is between two validations; None for ``given``.
    """
    wanted = None if epochs is None else max(1, round(epochs * given))
    if validate_every is not None and validate_every.unit == "seconds":
        total = _least(wanted, None if max_steps is None else max_steps * batch_size)
        ends = [FIRST_STEPS * batch_size]
        return ClockedLength(given, total, total, batch_size, validate_every.amount, ends)
    epoch = given
    if validate_every is not None:
        size = batch_size if validate_every.unit == "steps" else given
        epoch = max(1, round(validate_every.amount * size))
    most = None
    if max_steps is not None:
        whole, rest = divmod(max_steps, math.ceil(epoch / batch_size))
        most = whole * epoch + min(rest * batch_size, epoch)
    return Length(given, epoch, _least(wanted, most), batch_size)


def _least(*limits: int | None) -> int:
    return min(limit for limit in limits if limit is not None)


def recorded_length(values: Any) -> Length | None:
    """The length of a run from its ``run.json``, or a checkpoint; None if it is none."""
    return ClockedLength.from_json(values) or Length.from_json(values)

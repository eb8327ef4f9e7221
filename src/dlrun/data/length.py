"""How long a run is, and each of its epochs, in samples and in steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dlrun.system.interval import Every

MOST = 2**63  # what a file may say


@dataclass(frozen=True)
class Length:
    """The epochs of a run, each of the same length; the last may be shorter.

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

    def until(self, epochs: int, steps: int = 0) -> Length:
        """The length of training until so many epochs, and steps of the next one."""
        return replace(self, total=self.samples_until(epochs) + steps * self.batch_size)

    def to_json(self) -> dict[str, int]:
        """In JSON types, as in ``run.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Length | None:
        """The length from :meth:`to_json`; None if it is none, such as of an older run."""
        names = {"given", "epoch", "total", "batch_size"}
        if not isinstance(values, Mapping) or set(values) != names:
            return None
        if not all(type(value) is int and 0 < value < MOST for value in values.values()):
            return None
        return cls(**values)


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
    epoch = given
    if validate_every is not None:
        size = batch_size if validate_every.unit == "steps" else given
        epoch = max(1, round(validate_every.amount * size))
    limits = []
    if epochs is not None:
        limits.append(max(1, round(epochs * given)))
    if max_steps is not None:
        whole, rest = divmod(max_steps, math.ceil(epoch / batch_size))
        limits.append(whole * epoch + min(rest * batch_size, epoch))
    return Length(given, epoch, min(limits), batch_size)

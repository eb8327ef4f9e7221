"""Samples of the user's own, and what to do with those that can't be read."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

from dlrun.data.readers import Part
from dlrun.errors import DlrunError

log = logging.getLogger("dlrun")

SHOWN = 5  # samples that could not be read


class CheckedParts:
    """The parts of an input, to iterate over once; the first is read at once.

    ``rows`` samples were seen so far, of which ``wrong`` could not be read.

    Args:
        parts: From a reader.
        source: What the user named.
        skip: Whether samples that can't be read are left without a prediction, or left out.
        key: The option that names the source, for messages.
        skipping: What skipping does with them, ``{}``, for hints.

    Raises:
        DlrunError: If there is no sample; here and while iterating, if one can't be read and is not
            to be skipped, or none can be.
    """

    def __init__(
        self,
        parts: Iterator[Part],
        source: Path,
        *,
        skip: bool,
        key: str = "--input",
        skipping: str = "leaves such {} without a prediction",
    ) -> None:
        self._label, self._skip, self._skipping = f"{key} {source}", skip, skipping
        self.rows = self.wrong = 0
        first = next(parts, None)
        if first is None:
            raise DlrunError(f"{self._label}: has no rows")
        self._nouns = first.nouns
        self._check(first)
        self._parts = itertools.chain([first], parts)

    def __iter__(self) -> Iterator[Part]:
        for number, part in enumerate(self._parts):
            if number:
                self._check(part)
            yield part
        one, several = self._nouns
        if (more := self.wrong - SHOWN) > 0:
            noun = several if more > 1 else one
            log.warning("%s more %s could not be read", f"{more:,}", noun)
        # Samples without a target are neither right nor wrong: there may be no others.
        if self.wrong and self.wrong == self.rows:
            raise DlrunError(f"{self._label}: no {one} could be read", exit_code=1)

    def _check(self, part: Part) -> None:
        one, several = self._nouns
        wrong = [f"{part.place(n)}: {why}" for n, why in part.wrong.items()]
        if wrong and not self._skip:
            more = len(wrong) - 1
            others = f"{more:,} more {several} are" if more > 1 else f"1 more {one} is"
            hint = part.hints.get(next(iter(part.wrong)), "correct it")
            raise DlrunError(
                wrong[0] + f"; {others} wrong" * bool(more),
                hint=f"{hint}, or --on-error skip {self._skipping.format(several)}",
            )
        for line in wrong[: max(SHOWN - self.wrong, 0)]:
            log.warning("%s", line)
        self.rows += len(part.rows)
        self.wrong += len(wrong)

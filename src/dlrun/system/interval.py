"""Intervals of training as people write them."""

import re
from dataclasses import dataclass
from typing import Any

from dlrun.system.duration import parse_seconds

_EPOCHS = re.compile(r"(\d+(?:\.\d+)?)\s*e")
MOST = 10**12
_EXPECTED = "expected steps, such as 500, epochs, such as 2e, or a time, such as 10min"


@dataclass(frozen=True)
class Every:
    """An interval of training.

    Args:
        amount: Above 0; a whole number of steps.
        unit: ``steps``, ``epochs`` or ``seconds``.
    """

    amount: float
    unit: str


def parse_every(text: Any) -> Every:
    """The interval of ``500``, a number of steps; ``2e``, epochs; or ``10min``, a duration.

    Raises:
        ValueError: If it is none, or not above 0.
    """
    if isinstance(text, str) and text.strip().isdecimal():
        text = int(text)
    elif isinstance(text, float) and text.is_integer():
        text = int(text)  # typed as 1e3
    if isinstance(text, int) and not isinstance(text, bool):
        every = Every(text, "steps")
    elif isinstance(text, str) and (match := _EPOCHS.fullmatch(text.strip())):
        every = Every(float(match[1]), "epochs")
    elif isinstance(text, str):
        try:
            every = Every(parse_seconds(text.strip()), "seconds")
        except ValueError as error:
            raise ValueError(f"{_EXPECTED}, got {text!r:.80}") from error
    else:
        raise ValueError(f"{_EXPECTED}, got {text!r:.80}")
    if not 0 < every.amount <= MOST:
        raise ValueError(f"expected an interval above 0, and at most {MOST:,}, got {text!r:.80}")
    return every

"""What a check finds wrong with a config."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias


class Problem(NamedTuple):
    """Something wrong with one key.

    Args:
        key: The key, as ``loop.compile``.
        text: What is wrong, and what was expected.
        names: The valid names, where there are some to suggest from.
    """

    key: str
    text: str
    names: tuple[str, ...] = ()


Problems: TypeAlias = Iterator[Problem]

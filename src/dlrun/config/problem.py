"""A problem that a check finds in a config."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias


class Problem(NamedTuple):
    """Something wrong with one key.

    Args:
        key: Such as ``loop.compile``.
        text: What is wrong, and what was expected.
        names: The valid names, from which to suggest one.
    """

    key: str
    text: str
    names: tuple[str, ...] = ()


Problems: TypeAlias = Iterator[Problem]

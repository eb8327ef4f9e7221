"""Equality of settings, to which nan is equal to nan."""

from collections.abc import Mapping
from typing import Any


def is_same(a: Any, b: Any) -> bool:
    """Whether two values of a config are the same, at any depth.

    Args:
        a: In JSON types; a float may be nan.
        b: To compare with it.
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(is_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(is_same, a, b))
    return bool(a == b or (a != a and b != b))  # noqa: PLR0124 - only nan is not itself

"""One array, or a mapping of arrays: the two forms of a model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np

Leaf = TypeVar("Leaf")
Result = TypeVar("Result")

Tree: TypeAlias = Leaf | Mapping[str, Leaf]
Arrays: TypeAlias = "Tree[np.ndarray]"


def tree_map(function: Callable[[Leaf], Result], tree: Tree[Leaf]) -> Tree[Result]:
    """Apply a function to the single leaf, or to each leaf of a mapping, in order."""
    if isinstance(tree, Mapping):
        return {name: function(leaf) for name, leaf in tree.items()}
    return function(tree)


def map_named(function: Callable[[str | None, Leaf], Result], tree: Tree[Leaf]) -> Tree[Result]:
    """As :func:`tree_map`, with the name of each leaf; None for a single one."""
    if isinstance(tree, Mapping):
        return {name: function(name, leaf) for name, leaf in tree.items()}
    return function(None, tree)


def leaves(tree: Tree[Leaf]) -> list[Leaf]:
    """The single leaf, or the leaves of a mapping, in order."""
    return list(tree.values()) if isinstance(tree, Mapping) else [tree]


def leaves_by_name(tree: Tree[Leaf]) -> dict[str | None, Leaf]:
    """The leaves by their names, in order; a single leaf is named None."""
    return {**tree} if isinstance(tree, Mapping) else {None: tree}  # type: ignore[dict-item]


def leaf(tree: Any, name: str | None) -> Any:
    """The leaf of a name; of a single one, the name is None."""
    return tree if name is None else tree[name]


def as_tree(by_name: Mapping[str | None, Leaf]) -> Tree[Leaf]:
    """What :func:`leaves_by_name` has taken apart."""
    return by_name[None] if None in by_name else {str(name): of for name, of in by_name.items()}


def concatenate(parts: Sequence[Arrays]) -> Arrays:
    """Arrays of the same form, one after the other, as one."""
    import numpy as np

    each = [leaves_by_name(part) for part in parts]
    return as_tree({name: np.concatenate([part[name] for part in each]) for name in each[0]})

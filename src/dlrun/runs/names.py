"""What people call a run: as much of its path as tells it from others, and the id of each part.

``runs/mnist_mlp/2026-11-21_10-04-31_k3f9`` is ``mnist_mlp/k3f9``, or ``k3f9``.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePath

_MADE = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_(\w+)")


def short_names(paths: Sequence[Path], *, parts: int = 1) -> list[str]:
    """For each path a name that no other has.

    Args:
        paths: No two alike.
        parts: How many parts of a path to show at the least.
    """
    names: dict[Path, str] = {}
    deepest = max((len(path.parts) for path in paths), default=0)
    for count, short in [(parts, True), *((n, False) for n in range(parts, deepest + 1))]:
        # What one is called others can be called only where their ids are the same.
        alike = defaultdict(list)
        for path in paths:
            alike[_last(path, count, True)].append(path)
        for path in paths:
            if path not in names:
                name = _last(path, count, short)
                called = (one for one in alike[_last(path, count, True)] if is_called(one, name))
                if len(list(islice(called, 2))) == 1:
                    names[path] = name
        if len(names) == len(paths):
            break
    return [names.get(path, str(path)) for path in paths]


def is_called(path: Path, name: str) -> bool:
    """Whether a run's path ends in what was typed, each part in full or by its id."""
    typed = PurePath(name).parts
    own = path.parts[-len(typed) :] if typed else ()
    return bool(typed) and len(own) == len(typed) and all(map(_is_called, own, typed))


def _last(path: Path, count: int, short: bool) -> str:
    return "/".join(_id(part) if short else part for part in path.parts[-count:])


def _is_called(part: str, typed: str) -> bool:
    return typed in (part, _id(part))


def _id(part: str) -> str:
    made = _MADE.fullmatch(part)
    return made[1] if made else part

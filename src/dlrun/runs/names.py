"""Short names of runs: the end of the path that is unique, with the id of each part.

``runs/mnist_mlp/2026-11-21_10-04-31_k3f9`` is ``mnist_mlp/k3f9``, or ``k3f9``.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePath

_RUN_DIR = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_(\w+)")


def short_names(paths: Sequence[Path], *, parts: int = 1) -> list[str]:
    """A unique short name for each path.

    Args:
        paths: Distinct paths.
        parts: The minimum number of path parts to show.
    """
    names: dict[Path, str] = {}
    deepest = max((len(path.parts) for path in paths), default=0)
    for count, short in [(parts, True), *((n, False) for n in range(parts, deepest + 1))]:
        # Only paths with the same ids can share a name.
        same_ids = defaultdict(list)
        for path in paths:
            same_ids[_last(path, count, True)].append(path)
        for path in paths:
            if path not in names:
                name = _last(path, count, short)
                candidates = same_ids[_last(path, count, True)]
                matches = (candidate for candidate in candidates if has_name(candidate, name))
                if len(list(islice(matches, 2))) == 1:
                    names[path] = name
        if len(names) == len(paths):
            break
    return [names.get(path, str(path)) for path in paths]


def has_name(path: Path, name: str) -> bool:
    """Whether a run's path ends in the name, with each part in full or as its id."""
    typed = PurePath(name).parts
    parts = path.parts[-len(typed) :] if typed else ()
    if not typed or len(parts) < len(typed):
        return False
    return all(word in (part, _id(part)) for part, word in zip(parts, typed, strict=True))


def is_renamed(path: Path) -> bool:
    """Whether a run's directory has another name than it was created with."""
    return not _RUN_DIR.fullmatch(path.name)


def _last(path: Path, count: int, short: bool) -> str:
    return "/".join(_id(part) if short else part for part in path.parts[-count:])


def _id(part: str) -> str:
    match = _RUN_DIR.fullmatch(part)
    return match[1] if match else part

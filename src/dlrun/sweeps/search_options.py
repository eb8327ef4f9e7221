"""The options of a search, as typed."""

from __future__ import annotations

import difflib
from typing import Any

from dlrun.errors import DlrunError

SEARCHES = ("optuna",)


def search_options(search: str | None, resumes: bool, **options: Any) -> dict[str, Any] | None:
    """The options of a search that were given; None without a search.

    Args:
        search: What searches.
        resumes: Whether an earlier sweep is resumed.
        **options: By the names of :class:`dlrun.sweeps.search.Settings`; None if not given.

    Raises:
        DlrunError: If they do not go together.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if search is not None and search not in SEARCHES:
        near = difflib.get_close_matches(search, SEARCHES, n=1)
        raise DlrunError(
            f"--search {search}: expected one of {', '.join(SEARCHES)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    for key in given:
        if resumes and key != "trials":
            raise DlrunError(f"--resume takes no --{key}: the search keeps its own")
        if search is None and not resumes:
            raise DlrunError(f"--{key} requires --search optuna")
    return given if search or given else None

"""Read the figures of a result, without the libraries that compute them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def by_output(figures: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The ``figures`` of a result by output; a single one is named ``""``.

    Args:
        figures: Those of a single output, as from
            :meth:`dlrun.evaluation.figures.Figures.to_dict`, or a mapping of each by name.
    """
    # An output may be called "kind" as well.
    return {"": figures} if isinstance(figures.get("kind"), str) else dict(figures)

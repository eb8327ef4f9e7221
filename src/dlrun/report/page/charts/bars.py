"""Bars in the cells of a table, which holds their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from dlrun.report.page.markup import Markup, element

WIDTH, HEIGHT = 160.0, 12.0


def bar(share: float | None) -> Markup | None:
    """A bar as long as a share of one; the number stands beside it."""
    if share is None:
        return None
    width = round(max(0.0, min(share, 1.0)) * WIDTH, 1)
    return element(
        "svg",
        element("rect", width=WIDTH, height=HEIGHT, class_="track", rx=2),
        element("rect", width=width, height=HEIGHT, class_="bar", rx=2),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        class_="bars",
        aria_hidden="true",
    )


def histogram(counts: Sequence[float], label: str) -> Markup | None:
    """A small histogram.

    Args:
        counts: Of each bin.
        label: What a reader who does not see it should know.
    """
    if not counts or max(counts) <= 0:
        return None
    each, height = WIDTH / len(counts), 28.0
    rects = [
        element(
            "rect",
            x=round(place * each, 1),
            y=round(height - height * count / max(counts), 1),
            width=round(each * 0.9, 1),
            height=round(height * count / max(counts), 1),
            class_="bar",
        )
        for place, count in enumerate(counts)
    ]
    return element(
        "svg",
        element("title", label),
        rects,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        class_="bars tall",
        role="img",
    )

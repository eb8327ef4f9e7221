"""One run as HTML, for notebooks. Everything that a run says is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from dlrun.report.run import MOST_CURVES, head_values, metric_rows

WIDTH, HEIGHT = 180, 36
LEFT = "text-align:left"


def run_html(result: Mapping[str, Any]) -> str:
    """What was run, its metrics and its curves.

    Args:
        result: From :func:`dlrun.api.show.show`.
    """
    head = [[title, value] for title, value in head_values(result).items()]
    metrics = metric_rows(result["record"])
    curves = [
        f"<figure style='display:inline-block;margin:4px 12px 4px 0'>{curve_svg(name, values)}"
        f"<figcaption><small>{escape(name)}</small></figcaption></figure>"
        for name, values in list(result["curves"].items())[:MOST_CURVES]
    ]
    return "".join(
        [
            "<div>",
            _table(head, has_head=False),
            _table(metrics, has_head=True) if metrics else "",
            "".join(curves),
            "</div>",
        ]
    )


def preformat(text: str) -> str:
    """A text as it is, in HTML."""
    return f"<pre>{escape(text)}</pre>"


def curve_svg(name: str, values: Sequence[float | None]) -> str:
    """A curve as a picture; its title says the first and the last value.

    Args:
        name: Of the logged value.
        values: By epoch; None where there is none.
    """
    points = [
        (number, value)
        for number, value in enumerate(values)
        if value is not None and math.isfinite(value)
    ]
    if not points:
        return "<svg width='1' height='1' role='img'><title>no values</title></svg>"
    low, high = min(v for _, v in points), max(v for _, v in points)
    span, last = (high - low) or 1.0, max(len(values) - 1, 1)
    drawn = " ".join(
        f"{2 + (WIDTH - 4) * at / last:.1f},{HEIGHT - 2 - (HEIGHT - 4) * (v - low) / span:.1f}"
        for at, v in points
    )
    title = escape(f"{name}: {points[0][1]:.4g} to {points[-1][1]:.4g}")
    return (
        f"<svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label=\"{title}\">"
        f"<title>{title}</title><polyline points='{drawn}' fill='none' stroke='currentColor'"
        " stroke-width='1.5'/></svg>"
    )


def _table(rows: Sequence[Sequence[str]], *, has_head: bool) -> str:
    lines = []
    for number, row in enumerate(rows):
        kind = "th" if has_head and number == 0 else "td"
        first = kind if has_head else "th"
        cells = [
            f"<{first if at == 0 else kind} style='{LEFT}'>{escape(cell)}"
            f"</{first if at == 0 else kind}>"
            for at, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"

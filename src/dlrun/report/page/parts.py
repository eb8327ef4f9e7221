"""What pages are made of: sections, tables, lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.report.page.markup import Content, Markup, element, join

LONG = 40  # rows: a table of more scrolls by itself, below its head


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading, which the navigation lists."""

    identifier: str
    title: str
    content: Markup

    def markup(self) -> Markup:
        """The section."""
        heading = element("h2", self.title, id=f"{self.identifier}-title")
        return element(
            "section",
            heading,
            self.content,
            id=self.identifier,
            aria_labelledby=f"{self.identifier}-title",
        )


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        content: What it shows.
        sort: What to sort it by; None for its text.
        class_: Its class.
    """

    content: Content
    sort: float | None = None
    class_: str | None = None


def table(
    caption: Content,
    head: Sequence[Content],
    rows: Iterable[Sequence[Any]],
    *,
    sortable: bool = False,
    row_head: bool = True,
    class_: str = "",
    row_names: Sequence[str] | None = None,
) -> Markup:
    """A table in a box that scrolls where the page is narrow.

    Args:
        caption: What it shows.
        head: The head of each column.
        rows: The cells of each row: :class:`Cell`, or content of one.
        sortable: Whether its columns can be sorted.
        row_head: Whether the first cell of a row is its head.
        class_: More classes.
        row_names: What links each row to charts, see ``page.js``.
    """
    rows = list(rows)
    numeric = {
        place
        for row in rows
        for place, cell in enumerate(row)
        if isinstance(cell, Cell) and "number" in (cell.class_ or "").split()
    }
    heads = [
        element("th", cell, scope="col", class_="number" if place in numeric else None)
        for place, cell in enumerate(head)
    ]
    columns = element("tr", heads)
    body = [
        element(
            "tr",
            [_cell(cell, is_head=row_head and not place) for place, cell in enumerate(row)],
            data_run=row_names[number] if row_names else None,
        )
        for number, row in enumerate(rows)
    ]
    classes = " ".join(filter(None, ("sortable" if sortable else "", class_)))
    whole = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", columns),
        element("tbody", body),
        class_=classes or None,
    )
    return element(
        "div",
        whole,
        class_="scroll long" if len(rows) > LONG else "scroll",
        tabindex="0",
        role="group",
        aria_label=_plain(caption),
    )


def _plain(caption: Content) -> str | None:
    return str(caption) if isinstance(caption, str) and not isinstance(caption, Markup) else None


def _cell(cell: Any, *, is_head: bool) -> Markup:
    of = cell if isinstance(cell, Cell) else Cell(cell)
    sort = None if of.sort is None else f"{of.sort:.17g}"
    if is_head:
        return element("th", of.content, scope="row", class_=of.class_, data_sort=sort)
    return element("td", of.content, class_=of.class_, data_sort=sort)


def number_cell(value: float | None, shown: str) -> Cell:
    """A cell of a number that is sorted by its value."""
    return Cell(shown, value, "number")


def facts(items: Iterable[tuple[Content, Content]]) -> Markup:
    """Names with their values; those without a value are left out."""
    shown = [
        element("div", element("dt", name), element("dd", value))
        for name, value in items
        if value not in (None, "")
    ]
    return element("dl", shown, class_="facts")


def tiles(items: Iterable[tuple[str, str]]) -> Markup:
    """The few figures that matter most, in large type."""
    shown = [
        # On a phone, a long name breaks between its words, not within one.
        element("div", element("dt", join(name.split("_"), by="_<wbr/>")), element("dd", value))
        for name, value in items
        if value
    ]
    return element("dl", shown, class_="tiles")


def details(summary: str, *content: Content, is_open: bool = False) -> Markup:
    """Content that is shown on request."""
    return element("details", element("summary", summary), *content, open=is_open)


def code(*lines: str) -> Markup:
    """Commands to copy."""
    return element("pre", element("code", "\n".join(lines)), tabindex="0")


def note(*content: Content) -> Markup:
    """A remark."""
    return element("p", *content, class_="note")

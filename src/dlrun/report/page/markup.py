"""HTML from strings that nobody has to trust: what is not markup already is escaped.

Only :func:`element` and :func:`raw` make markup, so a name from a run can't become a tag, an
attribute or a script.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

from dlrun.system.files import dump_json

VOID = ("meta", "br", "img", "hr", "col", "path", "line", "rect", "circle", "polyline", "use")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
# What ends a script, opens a comment in it, or is a line break to JavaScript alone.
_IN_SCRIPT = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | int | float | Markup | None | Iterable[Any]


def element(tag: str, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        tag: Its name.
        *content: Markup as it is; anything else as escaped text. None is left out, and what can be
            iterated is content in turn.
        **attributes: By name; ``_`` stands for ``-``, and a last ``_`` is dropped, as in
            ``class_``. None and False leave an attribute out, True gives it no value.

    Raises:
        ValueError: If a name is none.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if not _NAME.fullmatch(tag):
        raise ValueError(f"{tag!a} is not the name of an element")
    if tag in VOID and not content:
        return Markup(f"<{tag}{written}/>")
    return Markup(f"<{tag}{written}>{join(content)}</{tag}>")


def join(content: Iterable[Content], by: str = "") -> Markup:
    """Content one after the other, each escaped unless it is markup."""
    return Markup(Markup(by).join(filter(None, map(escape, content))))


def escape(content: Content) -> Markup:
    """Content as markup."""
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup()
    if isinstance(content, str | int | float):
        return Markup(html.escape(_printable(str(content))))
    return join(content)


def _printable(text: str) -> str:
    """Text with escapes for what changes how it is shown, such as what turns its direction."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def raw(text: str) -> Markup:
    """Markup of dlrun's own: constants and files that it ships."""
    return Markup(text)


def json_script(identifier: str, value: Any) -> Markup:
    """A value for the page's script, as JSON that no text in it can leave."""
    written = dump_json(value).translate(_IN_SCRIPT)
    return element("script", Markup(written), type="application/json", id=identifier)


def _attribute(name: str, value: str | float | bool | None) -> str:
    name = name.rstrip("_").replace("_", "-")
    if not _NAME.fullmatch(name) or name.lower().startswith("on") or name == "style":
        raise ValueError(f"{name!a} is not an attribute that a page has")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(value)}"'

"""The document around sections: its head, navigation, style and script."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from dlrun import __version__
from dlrun.report.page.markup import Markup, element, join, json_script, raw
from dlrun.report.page.parts import Section


def document(
    title: str, header: Markup, sections: Sequence[Section], charts: Mapping[str, Any]
) -> str:
    """A whole page.

    Args:
        title: Of the window.
        header: What stands above the sections.
        sections: In their order.
        charts: What the script needs of each chart, by its identifier.
    """
    style, script = _file("page.css"), _file("page.js")
    # Nothing is loaded from anywhere, and no script or style runs but these two.
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        raw(f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=f"dlrun {__version__}"),
        element("title", title),
        element("style", raw(style)),
    )
    links = [element("li", element("a", s.title, href=f"#{s.identifier}")) for s in sections]
    made = f"Made by dlrun {__version__} on {time.strftime('%Y-%m-%d %H:%M %z')}."
    body = element(
        "body",
        element("a", "Skip to the content", href="#content", class_="skip"),
        element("header", header),
        element("nav", element("ul", links), aria_label="Sections"),
        element("main", [section.markup() for section in sections], id="content", tabindex="-1"),
        element("footer", element("p", made)),
        json_script("charts", charts),
        element("script", raw(script)),
    )
    return str(join([raw("<!doctype html>\n"), element("html", head, body, lang="en"), raw("\n")]))


def _file(name: str) -> str:
    return files("dlrun.report.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"

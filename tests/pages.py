"""What a page holds: its tables, its elements, its images."""

from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """A page as it is parsed: ``tables`` by their captions, ``tags`` with their attributes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.words = ""
        self._caption: list[str] | None = None
        self._rows: list[list[str]] = []
        self._inside: list[str] = []
        self.feed(self.text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._inside.append(tag)
        if tag == "caption":
            self._caption = []
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self._inside.pop() == tag, f"{tag} is not where it should end"
        if tag == "table":
            self.tables["".join(self._caption or ())] = self._rows

    def handle_data(self, data) -> None:
        if "caption" in self._inside and self._caption is not None:
            self._caption.append(data)
        elif {"td", "th"} & set(self._inside) and "svg" not in self._inside:
            self._rows[-1][-1] += data
        if not {"script", "style"} & set(self._inside):
            self.words += f"{data} "

    def column(self, caption: str, name: str) -> list[str]:
        """The cells of a column."""
        head, *rows = self.tables[caption]
        return [row[head.index(name)] for row in rows]

    def count(self, tag: str) -> int:
        """How many elements of a name there are."""
        return sum(name == tag for name, _ in self.tags)

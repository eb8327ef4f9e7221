"""A bar in a notebook's output, in the place of the one on a terminal."""

from html import escape
from typing import Any


class NotebookBar:
    """The progress of one epoch; removed at its end.

    Args:
        title: Which epoch it is.
        steps: Of an epoch.
    """

    def __init__(self, title: str, steps: int) -> None:
        from IPython.display import display

        self._title, self._steps = title, steps
        self._handle: Any = display(self._picture(0, ""), display_id=True)

    def update(self, done: int, figures: str) -> None:
        """Show how many steps are done."""
        self._handle.update(self._picture(done, figures))

    def stop(self) -> None:
        """Remove it."""
        from IPython.display import HTML

        self._handle.update(HTML(""))

    def _picture(self, done: int, figures: str) -> Any:
        from IPython.display import HTML

        bar = f"<progress value='{done}' max='{self._steps}'></progress>"
        return HTML(
            f"<div>{escape(self._title)} {bar} {done}/{self._steps} {escape(figures)}</div>"
        )

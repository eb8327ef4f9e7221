"""A bar on a terminal, below the lines of the epochs before."""


class TerminalBar:
    """The progress of one epoch; removed at its end.

    Args:
        title: Which epoch it is.
        steps: Of an epoch.
    """

    def __init__(self, title: str, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        def whole(width: int) -> Column:
            """A column that a narrow terminal does not cut; the figures are cut instead."""
            return Column(no_wrap=True, min_width=width)

        self._bar = Bar(
            TextColumn(title, table_column=whole(len(title))),
            BarColumn(bar_width=24),
            TextColumn(
                "{task.completed}/{task.total}", table_column=whole(2 * len(str(steps)) + 1)
            ),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=steps, figures="")
        self._bar.start()

    def update(self, done: int, figures: str) -> None:
        """Show how many steps are done."""
        self._bar.update(self._task, completed=done, figures=figures)

    def stop(self) -> None:
        """Remove it."""
        self._bar.stop()

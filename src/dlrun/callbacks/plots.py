"""Plot the curves of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.callbacks.protocol import RunCallback
from dlrun.runs.logged_names import by_metric
from dlrun.system.packages import require_matplotlib
from dlrun.system.pictures import save

SPLITS = (("", "train", "o-"), ("val_", "validation", "o--"))


class Plots(RunCallback):
    """Draws ``history.png`` when training ends: a panel for the loss and for each metric.

    Args:
        directory: Directory for the plot; created if missing.

    Raises:
        DlrunError: If matplotlib is not installed.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        require_matplotlib("callbacks.plots")
        self.directory = Path(directory)
        self.history: dict[str, dict[int, float]] = {}

    def set_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Restore the curves of a resumed run."""
        self.history = {}
        for row in rows:
            self._add(row["epoch"], {name: row[name] for name in row if name != "epoch"})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Add the epoch to the curves."""
        self._add(epoch + 1, logs or {})

    def _add(self, epoch: float, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self.history.setdefault(name, {})[int(epoch)] = float(value)

    def on_train_end(self, logs: Any = None) -> None:
        """Draw the plot."""
        save(draw(self.history), self.directory / "history.png")


def draw(history: Mapping[str, Mapping[int, float]]) -> Any:
    """The curves of a run, a panel for the loss and for each metric.

    Args:
        history: The values by epoch of each name that training logs, of which those with ``val_``
            are of validation.

    Returns:
        A ``matplotlib.figure.Figure``.
    """
    from matplotlib.figure import Figure

    metrics = by_metric([name for name in history if not name.startswith("val_")])
    titles = sorted(metrics, key=lambda title: title != "loss")
    figure = Figure(figsize=(5 * len(titles), 3.6), layout="constrained")
    panels = zip(figure.subplots(1, len(titles), squeeze=False)[0], titles, strict=True)
    for axes, title in panels:
        names = metrics[title]  # of a metric with a value for each class, all in one panel
        for number, name in enumerate(names):
            for prefix, split, style in SPLITS:
                if curve := history.get(prefix + name):
                    options = {"label": split} if number == 0 else {}
                    options |= {"markerfacecolor": "white"} if prefix else {}
                    options |= {"color": f"C{number % 10}"} if len(names) > 1 else {}
                    values = list(curve.values())
                    axes.plot(list(curve), values, style, markersize=4, **options)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure

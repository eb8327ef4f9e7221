"""Plot the curves of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlrun.callbacks.protocol import RunCallback
from dlrun.runs.logged_names import by_metric
from dlrun.system.pictures import require_matplotlib, save


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

    def get_state(self) -> dict[str, Any]:
        """The curves so far, for a checkpoint."""
        return {name: list(curve.items()) for name, curve in self.history.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the curves from a checkpoint."""
        self.history = {name: dict(curve) for name, curve in state.items()}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Add the epoch to the curves."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, {})[epoch + 1] = float(value)

    def on_train_end(self, logs: Any = None) -> None:
        """Draw the plot."""
        from matplotlib.figure import Figure

        metrics = by_metric([name for name in self.history if not name.startswith("val_")])
        titles = sorted(metrics, key=lambda title: title != "loss")
        figure = Figure(figsize=(5 * len(titles), 3.6), layout="constrained")
        panels = zip(figure.subplots(1, len(titles), squeeze=False)[0], titles, strict=True)
        for axes, title in panels:
            names = metrics[title]  # of a metric with a value for each class, all in one panel
            for number, name in enumerate(names):
                for prefix, split, style in (("", "train", "o-"), ("val_", "validation", "o--")):
                    if curve := self.history.get(prefix + name):
                        options = {"label": split} if number == 0 else {}
                        options |= {"color": f"C{number % 10}"} if len(names) > 1 else {}
                        values = list(curve.values())
                        axes.plot(list(curve), values, style, markersize=3, **options)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend()
        save(figure, self.directory / "history.png")

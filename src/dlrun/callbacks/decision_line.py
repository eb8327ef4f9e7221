"""Plot the decision line of a linear classifier in the plane.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, figures 3.1 to 3.3.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun.callbacks.protocol import RunCallback
from dlrun.errors import DlrunError
from dlrun.system.packages import require_matplotlib
from dlrun.system.pictures import save


class DecisionLine(RunCallback):
    """Draws ``decision_line.png`` when training ends.

    Two panels show the training points, coloured by their labels and by the predicted classes, and
    the line where the model's output is 0.5.

    Args:
        directory: Directory for the plot; created if missing.

    Raises:
        DlrunError: If matplotlib is not installed, or a sample is not a point ``(2,)``.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        require_matplotlib("callbacks.decision_line")
        self.directory = Path(directory)
        self._points = self._labels = np.zeros(0)

    def set_run(self, *, data: Any, **_: Any) -> None:
        """Take the training points."""
        if data.input_shape != (2,):
            raise DlrunError(
                f"callbacks.decision_line: one sample has shape {data.input_shape}, expected (2,)",
                hint="choose model=linear_classifier, or remove it with ~callbacks.decision_line",
            )
        self._points, self._labels = data.train.inputs, data.train.labels

    def on_train_end(self, logs: Any = None) -> None:
        """Draw the plot."""
        from matplotlib.figure import Figure

        [kernel, bias] = [keras.ops.convert_to_numpy(w).ravel() for w in self.model.weights]
        predicted = (self._points @ kernel + bias[0] > 0.5).astype(int)
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        x = np.array([self._points[:, 0].min(), self._points[:, 0].max()])
        y = (0.5 - bias[0] - kernel[0] * x) / kernel[1]
        panels = (("labels", self._labels), ("predicted classes", predicted))
        for axes, (title, classes) in zip(
            figure.subplots(1, 2, sharex=True, sharey=True), panels, strict=True
        ):
            for number, colour in enumerate(("#3b6ea8", "#d9822b")):
                points = self._points[classes == number]
                axes.plot(*points.T, ".", color=colour, markersize=3, label=f"class {number}")
            axes.plot(x, y, color="black", linewidth=1.5, label="output 0.5")
            axes.set_ylim(self._points[:, 1].min() - 0.5, self._points[:, 1].max() + 0.5)
            axes.set_title(title)
            axes.legend(loc="upper left")
        save(figure, self.directory / "decision_line.png")

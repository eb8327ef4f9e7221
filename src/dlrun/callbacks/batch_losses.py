"""Plot the loss of every batch.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.20.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlrun.callbacks.protocol import RunCallback
from dlrun.system.packages import require_matplotlib
from dlrun.system.pictures import save


class BatchLosses(RunCallback):
    """Draws ``loss_epoch_1.png``, ``loss_epoch_2.png``, ... when each epoch ends.

    It plots what Keras logs after a batch: the mean loss of the epoch's batches so far.

    Args:
        directory: Directory for the plots; created if missing.

    Raises:
        DlrunError: If matplotlib is not installed.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        require_matplotlib("callbacks.batch_losses")
        self.directory = Path(directory)
        self.losses: dict[int, Any] = {}

    def get_state(self) -> dict[str, Any]:
        """The losses of an unfinished epoch, for a checkpoint."""
        losses = [[batch, float(loss)] for batch, loss in self.losses.items()]
        return {"losses": losses} if losses else {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the losses from a checkpoint."""
        self.losses = dict(state["losses"])

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the batch's loss."""
        # Not converted: a conversion would wait for the device.
        self.losses[batch + 1] = (logs or {})["loss"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draw the epoch's losses."""
        from matplotlib.figure import Figure

        losses = [float(loss) for loss in self.losses.values()]
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes: Any = figure.subplots()
        axes.plot(list(self.losses), losses, "o-", markersize=3, linewidth=1)
        axes.set_title(f"Training loss after each batch (epoch {epoch + 1})")
        axes.set_xlabel("batch")
        axes.set_ylabel("loss, mean of the batches so far")
        axes.set_ylim(bottom=min([0.0, *filter(math.isfinite, losses)]))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        save(figure, self.directory / f"loss_epoch_{epoch + 1}.png")
        self.losses = {}

"""Write TensorBoard events without TensorFlow.

Keras' TensorBoard callback imports TensorFlow on every backend; tensorboardX writes the same events
without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from dlrun.callbacks.protocol import RunCallback
from dlrun.system.imports import without_packages

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


class TensorBoard(RunCallback):
    """Writes each epoch's metrics and learning rate under Keras' names.

    Args:
        log_dir: Training events go to ``log_dir/train``, validation to ``log_dir/validation``.
    """

    def __init__(self, log_dir: str) -> None:
        super().__init__()
        self.log_dir = log_dir
        self._writers: dict[str, SummaryWriter] = {}
        self._epochs = 0

    def get_state(self) -> dict[str, Any]:
        """How many epochs have been written, for a checkpoint."""
        return {"epochs": self._epochs}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Hide the points of epochs that a resumed run repeats."""
        self._epochs = int(state["epochs"])

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write one point of each curve at step ``epoch``, from 0."""
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        for name, value in {"learning_rate": rate, **(logs or {})}.items():
            split = "validation" if name.startswith("val_") else "train"
            tag = f"epoch_{name.removeprefix('val_')}"
            self._writer(split).add_scalar(tag, float(value), epoch)
        for writer in self._writers.values():
            writer.flush()
        self._epochs = epoch + 1

    def close(self) -> None:
        """Close the event files; also called when training ends with an error."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, split: str) -> SummaryWriter:
        if split not in self._writers:
            first = self._epochs
            # Names only resolve seconds: without a suffix, a resumed run could reuse one.
            self._writers[split] = _summary_writer()(
                f"{self.log_dir}/{split}",
                purge_step=first or None,
                filename_suffix=f".from-{first}" if first else "",
            )
        return self._writers[split]


def _summary_writer() -> type[SummaryWriter]:
    """Import tensorboardX without torch, which it would import to accept torch tensors."""
    with without_packages(["torch"]):
        from tensorboardX import SummaryWriter
    return SummaryWriter  # type: ignore[no-any-return]

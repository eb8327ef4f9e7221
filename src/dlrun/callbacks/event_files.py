"""TensorBoard's event files of one run, written without TensorFlow or Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dlrun.system.imports import without_packages

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


class EventFiles:
    """Writes values under Keras' names: training and validation are two curves of one picture.

    Args:
        directory: Training events go to ``directory/train``, validation to
            ``directory/validation``.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._first = 0
        self._writers: dict[str, SummaryWriter] = {}

    def start_at(self, epoch: int) -> None:
        """Hide the points from this epoch on, from 0, which a resumed run repeats."""
        self._first = epoch

    def add_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write a point of each curve at step ``epoch``, from 0."""
        for name, value in values.items():
            split = "validation" if name.startswith("val_") else "train"
            tag = f"epoch_{name.removeprefix('val_')}"
            self.writer(split).add_scalar(tag, float(value), epoch)
        self.flush()

    def flush(self) -> None:
        """Let a TensorBoard that is open see what was written."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def writer(self, split: str, *, first: int | None = None) -> SummaryWriter:
        """The writer of a curve.

        Args:
            split: ``train``, ``validation``, or another folder's name.
            first: When it is opened, the points from this step on are hidden; None for the epoch of
                :meth:`start_at`.
        """
        first = self._first if first is None else first
        if split not in self._writers:
            # Names only resolve seconds: without a suffix, a resumed run could reuse one.
            self._writers[split] = _summary_writer()(
                f"{self.directory}/{split}",
                purge_step=first or None,
                filename_suffix=f".from-{first}" if first else "",
            )
        return self._writers[split]


def _summary_writer() -> type[SummaryWriter]:
    """Import tensorboardX without torch, which it would import to accept torch tensors."""
    with without_packages(["torch"]):
        from tensorboardX import SummaryWriter
    return SummaryWriter  # type: ignore[no-any-return]

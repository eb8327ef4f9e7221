"""The protocols that the modules of this package implement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dlrun.exports.content import Content


class Format(Protocol):
    """A format of ``dlrun export``: how a file is written, and run to compare it.

    Attributes:
        BACKEND: The backend that writes it best, on which the run is rebuilt; None for the run's.
        NATIVE: The backends that can write it too, from a network in their own terms.
        NEEDS: The packages that write and run it, each with the extra of dlrun that installs it.
        SUFFIX: Of the file, with its dot, and of no other format; empty for a directory.
        RUNTIME: The name of what runs it.
        QUANTIZES: The kinds that ``--quantize`` can write: ``int8``, ``float16``.
        IS_RUN: Whether ``dlrun evaluate`` and ``dlrun predict`` take the file as a run. If so, it
            is a :class:`RunFormat`.
        NEEDS_GRAPH: Whether it holds the graph; if not, it is written from the model alone.
        MODES: The precisions that the runtime computes in, ``float32`` first: keys of
            ``dlrun.exports.agreement.TOLERANCES``.
        NOTE: What a user should know of any such file, printed with the result; may be empty.
        NOISE: Words of the lines that its runtime writes to stderr at each start: they are dropped.
    """

    BACKEND: str | None
    NATIVE: Sequence[str]
    NEEDS: Mapping[str, str]
    SUFFIX: str
    RUNTIME: str
    QUANTIZES: Sequence[str]
    IS_RUN: bool
    NEEDS_GRAPH: bool
    MODES: Sequence[str]
    NOTE: str
    NOISE: Sequence[str]

    def write(
        self, model: Any, content: Content, path: Path, calibration: Mapping[str, np.ndarray] | None
    ) -> None:
        """Write a file.

        Args:
            model: A ``keras.Model`` of :func:`dlrun.assembly.export_graph.export_graph`; the run's
                own, if the format does not need the graph.
            content: What the file says of itself; ``content.quantize`` is the kind to write.
            path: Where to; it ends in ``SUFFIX``. Other files of the format have its stem.
            calibration: Samples of the training split for ``int8``, by input; else None.
        """

    def open_file(
        self, path: Path, mode: str
    ) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """Open a file in its runtime: a function from arrays to arrays, both by name.

        Args:
            path: The file.
            mode: One of ``MODES``.

        Returns:
            From inputs to outputs, ``(batch, ...)``. Without a graph, it gives the weights by their
            paths whatever the inputs.
        """


class RunFormat(Format, Protocol):
    """A format whose files are taken as runs."""

    def read_content(self, path: Path) -> str | None:
        """The JSON in the file's own metadata; None if it is not dlrun's."""

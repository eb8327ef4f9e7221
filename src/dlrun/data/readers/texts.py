"""Files of texts, for a run that was trained on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.columns.text import Text
from dlrun.data.files.own_files import find_samples, folders_of
from dlrun.data.files.text_files import LABEL, SUFFIX, UnreadableTextError, read_text
from dlrun.data.input_spec import InputSpec
from dlrun.data.preprocessing.columns import Columns
from dlrun.data.readers import STDIN, Part, Request, encode_labels, refuse_ids
from dlrun.data.readers.arrays import SUFFIXES as ARRAYS
from dlrun.data.table_formats import format_of
from dlrun.errors import DlrunError
from dlrun.system.packages import require_package


def kinds(request: Request) -> list[str]:
    """See :mod:`dlrun.data.readers`."""
    return [SUFFIX] if text_of(request.spec) else []


def takes(request: Request) -> bool:
    """See :mod:`dlrun.data.readers`. Tables of texts are for another reader."""
    source = request.source
    if request.encoding is None or text_of(request.spec) is None or str(source) == STDIN:
        return False
    return source.suffix == SUFFIX or not (source.suffix in ARRAYS or format_of(source))


def text_of(spec: InputSpec) -> Text | None:
    """The column of texts; None for a run that takes other columns."""
    step = spec.step(Columns)
    if step is None or len(step.fitted) > 1:
        return None
    [column] = step.fitted
    return column if isinstance(column, Text) else None


class Reader:
    """See :class:`dlrun.data.readers.Reader`. The class of a text is the folder that it is in."""

    def __init__(self, request: Request) -> None:
        require_package("pyarrow", "a table", "data")
        column, encoding = text_of(request.spec), request.encoding
        assert column is not None, "takes() says so"
        assert encoding is not None, "takes() says so"
        self._request, self._column, self._encoding = request, column, encoding
        if request.array is not None:
            raise DlrunError(
                f"--array {request.array}: {request.source} is no .npz", hint="leave it out"
            )
        refuse_ids(request)
        source, key = request.source, request.key
        self.files: Sequence[Path] = find_samples(source, [SUFFIX], key)
        self._classes = folders_of(source, self.files, key) if request.labels else []

    def parts(self) -> Iterator[Part]:
        """See :class:`dlrun.data.readers.Reader`."""
        size = self._request.rows
        for first in range(0, len(self.files), size):
            yield self._part(first, self.files[first : first + size])

    def notes(self) -> list[str]:
        """See :class:`dlrun.data.readers.Reader`."""
        return []

    def _part(self, first: int, paths: Sequence[Path]) -> Part:
        import pyarrow as pa

        texts: dict[int, str] = {}
        wrong: dict[int, str] = {}
        for place, path in enumerate(paths):
            try:
                texts[place] = read_text(path, self._encoding)
            except UnreadableTextError as error:
                wrong[place] = error.reason
        spec, rows = self._request.spec, np.arange(first, first + len(paths))
        inputs: dict[str, Any] = {self._column.name: pa.array(texts.values(), pa.string())}
        labels = None
        if self._request.labels:
            classes = pa.array([self._classes[first + place] for place in texts], pa.string())
            there = [paths[place] for place in texts]
            labels = encode_labels(self._request, {LABEL: classes}, there.__getitem__)
        return Part(
            spec.preprocess(inputs),
            rows + 1,
            self._request.key,
            wrong,
            {"file": [str(path) for path in paths]},
            labels,
            files=paths,
        )

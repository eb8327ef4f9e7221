"""Arrays with their labels, in one ``.npz``, to evaluate a run that was trained on arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.input_spec import InputSpec
from dlrun.data.preprocessing.standardize import Standardize
from dlrun.data.readers import Part, Request, targets_of, without_target_note
from dlrun.data.readers.arrays import (
    SINGLE,
    SUFFIXES,
    check_array,
    file_errors,
    prepare_arrays,
    read_arrays,
)
from dlrun.data.samples import label_columns, one_hot_classes
from dlrun.data.tabular.column_values import WrongValueError
from dlrun.data.targets import Target
from dlrun.data.tree import Arrays, leaves, tree_map
from dlrun.errors import DlrunError

LABELS, WEIGHTS = "y", "w"
HOW = f"numpy.savez('new.npz', {SINGLE}=inputs, {LABELS}=labels)"


def kinds(request: Request) -> list[str]:
    """See :mod:`dlrun.data.readers`."""
    of_arrays = all(isinstance(step, Standardize) for step in request.spec.preprocessing)
    return [".npz"] if request.labels and of_arrays else []


def takes(request: Request) -> bool:
    """See :mod:`dlrun.data.readers`."""
    return bool(kinds(request)) and request.source.suffix in SUFFIXES


class Reader:
    """See :class:`dlrun.data.readers.Reader`. All samples are one part.

    Inputs are called ``x``, and labels ``y``; several inputs or outputs have their names. ``w``, if
    it is there, is what each sample counts. Labels are class names or numbers as the run's source
    had them. Of a data set that does not say what its labels mean, they are those of its arrays.
    """

    def __init__(self, request: Request) -> None:
        self._request, path = request, request.source
        self._label = f"{request.key} {path}"
        self.files: Sequence[Path] = [path]
        if path.suffix == ".npy":
            raise DlrunError(f"{self._label} holds no labels beside its samples", hint=HOW)
        spec = request.spec
        inputs = spec.raw_names or (SINGLE,)
        outputs = tuple(spec.labels) if isinstance(spec.labels, Mapping) else (LABELS,)
        with file_errors(self._label, path, function="numpy.savez"):
            found = read_arrays(path, self._label, {*inputs, *outputs}, (WEIGHTS,), hint=_how(spec))
        raw: Arrays = {name: found[name] for name in inputs} if spec.raw_names else found[SINGLE]
        self._inputs = prepare_arrays(self._label, raw, spec)
        self._samples = len(leaves(self._inputs)[0])
        for name, of in zip(outputs, leaves(spec.labels), strict=True):
            if not of.shape and np.issubdtype(of.dtype, np.integer):  # class numbers
                numbers = one_hot_classes(found[name])
                found[name] = found[name] if numbers is None else numbers
        for name in (*outputs, *([WEIGHTS] if WEIGHTS in found else [])):
            if len(np.atleast_1d(found[name])) != self._samples:
                raise DlrunError(
                    f"{self._label}: array {name} has shape {found[name].shape}, and there are"
                    f" {self._samples:,} samples",
                    hint="give each sample one row of each array",
                )
        self._weights = found.get(WEIGHTS)
        self._has_label = np.ones(self._samples, bool)
        self._labels: dict[str, np.ndarray] = {}
        targets = targets_of(spec)
        for name in outputs:
            output = name if isinstance(spec.labels, Mapping) else None
            self._labels[name] = (
                self._encoded(name, found[name], targets[output])
                if output in targets
                else self._as_they_are(name, found[name], output)
            )

    def parts(self) -> Iterator[Part]:
        """See :class:`dlrun.data.readers.Reader`."""
        rows, weights = np.flatnonzero(self._has_label), self._weights
        labels: Arrays = {name: array[rows] for name, array in self._labels.items()}
        if not isinstance(self._request.spec.labels, Mapping):
            labels = labels[LABELS]
        yield Part(
            self._inputs
            if len(rows) == self._samples
            else tree_map(lambda x: x[rows], self._inputs),
            rows + 1,
            self._label,
            labels=labels,
            weights=None if weights is None else weights[rows].astype(np.float32),
        )

    def notes(self) -> list[str]:
        """See :class:`dlrun.data.readers.Reader`."""
        return without_target_note(self._request, int((~self._has_label).sum()))

    def _as_they_are(self, name: str, labels: np.ndarray, output: str | None) -> np.ndarray:
        """Labels in the form of the run's; what their values mean is for the task to check."""
        spec: Any = self._request.spec.labels
        of = spec if output is None else spec[output]
        check_array(f"{self._label}, array {name}", labels, of.shape)
        is_number = np.issubdtype(of.dtype, np.floating)
        return labels.astype(of.dtype, copy=False) if is_number else labels

    def _encoded(self, name: str, labels: np.ndarray, target: Target) -> np.ndarray:
        """Labels as the source of the run had them; zeros for a sample without one."""
        import pyarrow.compute as pc

        columns = label_columns(f"{self._label}, array {name}", labels)
        if len(columns) != len(target.columns):
            raise DlrunError(
                f"{self._label}, array {name}: has {len(columns)} labels for each sample, and the"
                f" run predicts {len(target.columns)}: {target.title}"
            )
        missing = [pc.is_null(column, nan_is_null=True).to_numpy(False) for column in columns]
        there = ~np.any(missing, axis=0)
        self._has_label &= there
        table = dict(
            zip(target.columns, [column.filter(_mask(there)) for column in columns], strict=True)
        )
        try:
            known = target.encode(table)
        except WrongValueError as error:
            row = int(np.flatnonzero(there)[error.row])
            raise DlrunError(
                f"{self._label}: {name}[{row}] {error.problem}",
                hint="correct it, or remove the sample",
            ) from error
        encoded = np.zeros((len(there), *known.shape[1:]), known.dtype)
        encoded[there] = known
        return encoded


def _how(spec: InputSpec) -> str:
    """How to write the arrays that a run takes."""
    outputs = list(spec.labels) if isinstance(spec.labels, Mapping) else [LABELS]
    names = dict.fromkeys([*(spec.raw_names or (SINGLE,)), *outputs])
    return f"numpy.savez('new.npz', {', '.join(f'{name}=...' for name in names)})"


def _mask(mask: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(mask)

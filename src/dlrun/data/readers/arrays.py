"""Arrays: one from ``numpy.save``, or several by name from ``numpy.savez``."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dlrun.data.input_spec import InputSpec
from dlrun.data.npz import way_to_write
from dlrun.data.readers import Part, Request, refuse_ids
from dlrun.data.tree import Arrays, leaves
from dlrun.errors import DlrunError
from dlrun.system.arrays import check_npy, check_npz
from dlrun.system.files import is_file
from dlrun.system.finite import first_not_finite

SUFFIXES = (".npy", ".npz")
SINGLE = "x"  # the inputs of a file with more than them, if they have no names


def kinds(request: Request) -> list[str]:
    """See :mod:`dlrun.data.readers`."""
    return [] if request.labels else list(SUFFIXES)


def takes(request: Request) -> bool:
    """See :mod:`dlrun.data.readers`."""
    return request.source.suffix in SUFFIXES and not request.labels


class Reader:
    """See :class:`dlrun.data.readers.Reader`. All samples are one part; an ``.npy`` is mapped."""

    def __init__(self, request: Request) -> None:
        self._request = request
        refuse_ids(request)
        names, array, path = request.spec.raw_names, request.array, request.source
        self.files: Sequence[Path] = [path]
        if names and array is not None:
            raise DlrunError(
                f"--array {array}: the run takes inputs by name: {', '.join(names)}",
                hint="leave it out",
            )
        read = _read_npy if path.suffix == ".npy" else _read_npz
        with file_errors(f"--input {path}", path):
            raw = read(path, names=names, array=array)
        self._inputs = prepare_arrays(f"--input {path}", raw, request.spec)

    def parts(self) -> Iterator[Part]:
        """See :class:`dlrun.data.readers.Reader`."""
        samples = len(leaves(self._inputs)[0])
        yield Part(self._inputs, np.arange(1, samples + 1), f"--input {self._request.source}")

    def notes(self) -> list[str]:
        """See :class:`dlrun.data.readers.Reader`."""
        return []


def _read_npy(path: Path, *, names: tuple[str, ...], array: str | None) -> np.ndarray:
    """The array, memory-mapped: it need not fit into memory."""
    if names:
        raise DlrunError(
            f"--input {path}: expected a .npz file",
            hint=f"the run takes inputs by name: {', '.join(names)}",
        )
    if array is not None:
        raise DlrunError(f"--array {array}: {path} is a single array", hint="leave it out")
    with path.open("rb") as file:
        check_npy(file, path.stat().st_size)
    mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _read_npz(path: Path, *, names: tuple[str, ...], array: str | None) -> Arrays:
    """The arrays of the names, or a single one."""
    if names:
        how = f"expected an array for each input: {', '.join(names)}"
        return read_arrays(path, f"--input {path}", names, hint=how)
    check_npz(path, packed=True)
    with np.load(path, allow_pickle=False) as arrays:
        there = list(arrays)
        if array is None and (len(there) == 1 or SINGLE in there):
            array = there[0] if len(there) == 1 else SINGLE
        if array not in there:
            problem = "has several arrays" if array is None else f"has no array '{array}'"
            raise DlrunError(
                f"--input {path}: {problem}: {', '.join(there)}",
                hint=f"--array {there[0]}" if there else None,
            )
        single: np.ndarray = arrays[array]
        return single


def read_arrays(
    path: Path, label: str, names: Collection[str], optional: Collection[str] = (), *, hint: str
) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` by name, without unpickling.

    Args:
        path: The file.
        label: What it is called in messages.
        names: The arrays that it must have.
        optional: Those that it may have; the others are not read.
        hint: What to do if it lacks one.

    Raises:
        DlrunError: If it lacks one.
        ValueError: As other errors that :func:`file_errors` reports, if it is damaged.
    """
    check_npz(path, packed=True)
    with np.load(path, allow_pickle=False) as arrays:
        there = list(arrays)
        if missing := [name for name in names if name not in there]:
            raise DlrunError(f"{label}: has no array '{missing[0]}': {', '.join(there)}", hint=hint)
        return {name: arrays[name] for name in there if name in {*names, *optional}}


@contextmanager
def file_errors(label: str, path: Path, *, function: str = "numpy.save") -> Iterator[None]:
    """Report a file of arrays that is missing or damaged.

    Args:
        label: What it is called in messages.
        path: The file.
        function: What writes such a file.

    Raises:
        DlrunError: If it can't be read.
    """
    if not is_file(path):
        raise DlrunError(f"{label}: no such file")
    try:
        yield
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DlrunError(
            f"{label} can't be read: {error}", hint=way_to_write(error, function)
        ) from error


def prepare_arrays(source: str, raw: Arrays, spec: InputSpec) -> Arrays:
    """Preprocess a user's arrays, and check them.

    Args:
        source: What they are called in messages.
        raw: As for :meth:`dlrun.data.input_spec.InputSpec.preprocess`.
        spec: Of the run.

    Raises:
        DlrunError: If they are not what the run takes.
    """
    try:
        inputs = spec.preprocess(raw)
    except ValueError as error:
        raise DlrunError(f"{source}: {error}") from error
    _check(source, inputs, spec)
    return inputs


def _check(source: str, inputs: Arrays, spec: InputSpec) -> None:
    shape = spec.input_shape
    names = tuple(shape) if isinstance(shape, dict) else ()
    labels = [f"{source}, array {name}" for name in names] or [source]
    for label, values, expected in zip(labels, leaves(inputs), leaves(shape), strict=True):
        check_array(label, values, expected)
    if len({len(values) for values in leaves(inputs)}) > 1:
        shapes = ", ".join(f"{n} {x.shape}" for n, x in zip(names, leaves(inputs), strict=True))
        raise DlrunError(f"{source}: the arrays differ in length: {shapes}")


def check_array(label: str, inputs: np.ndarray, shape: tuple[int, ...]) -> None:
    """Check the form and the values of an array.

    Args:
        label: What it is called in messages.
        inputs: ``(samples, *shape)`` if it is right.
        shape: Of a sample.

    Raises:
        DlrunError: If it is of another shape, empty, or holds what is not a finite number.
    """
    if not (np.issubdtype(inputs.dtype, np.integer) or np.issubdtype(inputs.dtype, np.floating)):
        raise DlrunError(f"{label}: expected numbers, got dtype {inputs.dtype}")
    if inputs.ndim != len(shape) + 1 or inputs.shape[1:] != shape:
        expected = ", ".join(["samples", *map(str, shape)])
        raise DlrunError(
            f"{label}: expected shape ({expected}), got {inputs.shape}",
            hint="add an axis to a single sample: x[None]" if inputs.shape == shape else None,
        )
    if not len(inputs):
        raise DlrunError(f"{label}: has no samples")
    if not np.issubdtype(inputs.dtype, np.integer) and (
        bad := first_not_finite(inputs, np.float32)
    ):
        raise DlrunError(
            f"{label}: the value at {list(bad)} is {inputs[bad]}",
            hint="remove the sample, or fill in the value",
        )

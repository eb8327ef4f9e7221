"""What a model takes and returns, saved with each run: prediction needs no training data."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrun.data.tree import Arrays, Tree, tree_map
from dlrun.errors import DlrunError

VERSION = 1
# Far more than a model has: a file may be anybody's.
MAX_BYTES = 2**20
MAX_ARRAYS = 1000
MAX_NAME = 200
MAX_AXES = 32
MAX_VALUES = 2**31  # of one sample, and of classes
DTYPES = frozenset(np.dtype(code).name for code in np.typecodes["AllInteger"] + "efdg")


def scaled(
    values: Any,
    scale: Any,
    *,
    is_integer: bool,
    cast: Callable[[Any], Any],
    divide: Callable[[Any, Any], Any] = operator.truediv,
) -> Any:
    """Inputs as a model takes them: integers are divided by ``scale``, floats are scaled already.

    The one definition, for arrays and tensors of every framework; each brings its own terms.

    Args:
        values: An array or tensor of integers or floats, of any shape.
        scale: A number; a tensor in code that XLA compiles, which would multiply by the inverse
            of a constant, and that rounds differently.
        is_integer: Whether the dtype of ``values`` is one of integers.
        cast: Makes integers float32.
        divide: The division, in place where the framework can: what it is given is a copy.

    Returns:
        The same shape: float32 for integers, floats as they are.
    """
    if not is_integer:
        return values
    floats = cast(values)
    return floats if isinstance(scale, int | float) and scale == 1 else divide(floats, scale)


@dataclass(frozen=True)
class ArraySpec:
    """One array of a sample.

    Args:
        shape: Without the axis of samples.
        dtype: NumPy's name of it, as the array is kept in memory.
    """

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: Any) -> ArraySpec:
        """The spec of an array ``(samples, *shape)``."""
        return cls(tuple(int(axis) for axis in array.shape[1:]), np.dtype(array.dtype).name)


@dataclass(frozen=True)
class InputSpec:
    """What a data set tells a model, without the samples.

    Args:
        inputs: The only input, or each by its name.
        labels: Likewise.
        num_classes: How many classes the labels name, and 1 for a number; by name where the
            labels are.
        scale: What integer inputs are divided by in a batch.
    """

    inputs: Tree[ArraySpec]
    labels: Tree[ArraySpec]
    num_classes: Tree[int]
    scale: float = 1.0

    @property
    def input_shape(self) -> Tree[tuple[int, ...]]:
        """One sample's shape, by name where the inputs are."""
        return tree_map(lambda spec: spec.shape, self.inputs)

    @property
    def label_shape(self) -> Tree[tuple[int, ...]]:
        """The shape of one sample's labels, by name where they are."""
        return tree_map(lambda spec: spec.shape, self.labels)

    def prepare(self, inputs: Arrays) -> Arrays:
        """A batch of inputs as the model takes them.

        Args:
            inputs: Arrays ``(batch, *input_shape)`` of integers or floats, by name where there
                are several.

        Returns:
            The same shapes, float32: integers are divided by ``scale``.
        """
        return tree_map(self._prepared, inputs)

    def _prepared(self, inputs: np.ndarray) -> np.ndarray:
        prepared = scaled(
            inputs,
            self.scale,
            is_integer=np.issubdtype(inputs.dtype, np.integer),
            cast=_float32,
            divide=operator.itruediv,
        )
        return _float32(prepared)

    def to_json(self) -> str:
        """The spec as JSON, for :meth:`from_json`."""
        classes = dict(_named(self.num_classes))
        content = {
            "version": VERSION,
            "inputs": [_entry(name, spec) for name, spec in _named(self.inputs)],
            "outputs": [
                {**_entry(name, spec), "num_classes": classes[name]}
                for name, spec in _named(self.labels)
            ],
            "scale": self.scale,
            "preprocessing": [],  # where fitted steps will stand; a file with some is refused
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str) -> InputSpec:
        """Read a spec that may be anybody's.

        Args:
            text: From :meth:`to_json`.
            source: Where it was read, for errors.

        Raises:
            DlrunError: If it is damaged, of a newer version, or larger than a model's can be.
        """
        try:
            if len(text) > MAX_BYTES:
                raise ValueError(f"it has {len(text):,} characters, and {MAX_BYTES:,} are the most")
            return cls(**_read(json.loads(text)))
        except RecursionError:
            problem = "it is nested too deeply"
        except (ValueError, OverflowError) as error:
            problem = str(error)
        raise DlrunError(
            f"{source} can't be read as an input specification: {problem}",
            hint="copy it again from where the run was trained, or remove it: the data set is"
            " then read instead",
        )


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)


def _named(tree: Tree[Any]) -> Iterator[tuple[str | None, Any]]:
    """The leaves with their names; None is the name of the only one."""
    if isinstance(tree, Mapping):
        yield from tree.items()
    else:
        yield None, tree


def _entry(name: str | None, spec: ArraySpec) -> dict[str, Any]:
    return {"name": name, "shape": list(spec.shape), "dtype": spec.dtype}


def _read(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("expected a mapping")
    if (version := content.get("version")) != VERSION:
        raise ValueError(f"its version is {version!a:.80}, and this dlrun reads {VERSION}")
    _require_keys(content, {"version", "inputs", "outputs", "scale", "preprocessing"}, "it")
    if content["preprocessing"] != []:
        raise ValueError("it has preprocessing, which only a newer dlrun can apply")
    scale = content["scale"]
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise ValueError(f"scale is {scale!a:.80}, expected a number above 0")
    outputs = _by_name(content["outputs"], "outputs")
    return {
        "inputs": tree_map(lambda array: array[0], _by_name(content["inputs"], "inputs")),
        "labels": tree_map(lambda array: array[0], outputs),
        "num_classes": tree_map(lambda array: array[1], outputs),
        "scale": float(scale),
    }


def _by_name(entries: Any, part: str) -> Tree[tuple[ArraySpec, int]]:
    """The arrays of a part, each with its classes: the only one, or all by their names."""
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_ARRAYS:
        raise ValueError(f"{part} is no list of 1 to {MAX_ARRAYS} arrays")
    arrays = {}
    for number, entry in enumerate(entries):
        place = f"{part}[{number}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{place} is no mapping")
        classes = {"num_classes"} if part == "outputs" else set()
        _require_keys(entry, {"name", "shape", "dtype", *classes}, place)
        name = entry["name"]
        if not _is_name(name) and not (name is None and len(entries) == 1):
            raise ValueError(f"{place}.name is {name!a:.80}, expected a name")
        if name in arrays:
            raise ValueError(f"{part} has two arrays called {name!a:.80}")
        arrays[name] = (_array(entry, place), _classes(entry, place) if classes else 1)
    return arrays.get(None, arrays)


def _array(entry: Mapping[str, Any], place: str) -> ArraySpec:
    shape, dtype = entry["shape"], entry["dtype"]
    sizes = isinstance(shape, list) and len(shape) <= MAX_AXES and all(map(_is_size, shape))
    if not sizes or math.prod(shape) > MAX_VALUES:
        raise ValueError(f"{place}.shape is {shape!a:.80}, expected the sizes of a sample's axes")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{place}.dtype is {dtype!a:.80}, expected one of integers or floats")
    return ArraySpec(tuple(shape), dtype)


def _classes(entry: Mapping[str, Any], place: str) -> int:
    classes = entry["num_classes"]
    if not _is_size(classes) or classes < 1:
        raise ValueError(f"{place}.num_classes is {classes!a:.80}, expected a count from 1")
    return int(classes)


def _require_keys(mapping: Mapping[str, Any], keys: set[str], place: str) -> None:
    if missing := keys - set(mapping):
        raise ValueError(f"{place} has no {min(missing)}")
    if unknown := set(mapping) - keys:
        raise ValueError(f"{place} has an unknown key, {min(unknown)!a:.80}")


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()


def _is_size(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_VALUES

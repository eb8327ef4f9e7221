"""A model's inputs and outputs, saved with each run so that prediction needs no training data."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from dlrun.data.preprocessing import MAX_STEPS, Step, from_entry, to_entry
from dlrun.data.targets import Target
from dlrun.data.tree import Arrays, Tree, map_named, tree_map
from dlrun.errors import DlrunError

VERSION = 1
# Limits far above any model's needs, as a file may come from anyone. A vocabulary is in it.
MAX_BYTES = 64 * 2**20
MAX_ARRAYS = 1000
MAX_NAME = 200
MAX_AXES = 32
MAX_VALUES = 2**31  # values per sample, and number of classes
DTYPES = frozenset(np.dtype(code).name for code in np.typecodes["AllInteger"] + "efdg")


def scaled(
    values: Any,
    scale: Any,
    *,
    is_integer: bool,
    cast: Callable[[Any], Any],
    divide: Callable[[Any, Any], Any] = operator.truediv,
) -> Any:
    """Scale inputs for the model: divide integers by ``scale``, return floats unchanged.

    The only definition, for arrays and tensors of every framework, which passes its own functions.

    Args:
        values: An array or tensor of integers or floats, of any shape.
        scale: A number; in code that XLA compiles a tensor, as XLA would multiply by the inverse of
            a constant, which rounds differently. None for a model that takes integers.
        is_integer: Whether ``values`` has an integer dtype.
        cast: Converts integers to float32.
        divide: The division; it may work in place, as its argument is a copy.

    Returns:
        The same shape: float32 for integers, else the floats. Unchanged without a scale.
    """
    if not is_integer or scale is None:
        return values
    floats = cast(values)
    return floats if isinstance(scale, int | float) and scale == 1 else divide(floats, scale)


def integer_inputs(model: Any) -> frozenset[str | None]:
    """The names of the inputs that a model takes as integers; None for a single input.

    Args:
        model: Only a Functional or Sequential one declares the dtypes of its inputs.
    """
    declared = getattr(getattr(model, "_functional", None) or model, "_inputs_struct", None)
    if isinstance(declared, list | tuple):
        named = {tensor.name if len(declared) > 1 else None: tensor for tensor in declared}
    else:
        named = dict(_named(declared))
    return frozenset(
        name for name, tensor in named.items() if "int" in str(getattr(tensor, "dtype", ""))
    )


@dataclass(frozen=True)
class ArraySpec:
    """One array of a sample.

    Args:
        shape: The shape without the samples axis.
        dtype: NumPy's name for the dtype in memory.
    """

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: Any) -> ArraySpec:
        """The spec of an array ``(samples, *shape)``."""
        return cls(tuple(int(axis) for axis in array.shape[1:]), np.dtype(array.dtype).name)


@dataclass(frozen=True)
class InputSpec:
    """What a model needs to know about a data set, without its samples.

    Args:
        inputs: The input, or a mapping of several inputs.
        labels: The label, or a mapping of several labels.
        num_classes: The number of classes, or 1 for a numeric label; a mapping if the labels are
            one.
        scale: Divisor of integer inputs in a batch.
        preprocessing: The steps from samples as a user has them to ``inputs``, in order.
        sizes: For inputs of ids, the number that they are below, for each value or for all; None
            names a single input.
        targets: What the labels were made of; None if the labels are all that is known.
        integers: From :func:`integer_inputs`; not saved, as the model tells.
    """

    inputs: Tree[ArraySpec]
    labels: Tree[ArraySpec]
    num_classes: Tree[int]
    scale: float = 1.0
    preprocessing: tuple[Step, ...] = ()
    sizes: Mapping[str | None, tuple[int, ...]] = field(default_factory=dict)
    targets: Tree[Target] | None = None
    integers: frozenset[str | None] = frozenset()

    @property
    def input_shape(self) -> Tree[tuple[int, ...]]:
        """The shape of one sample's inputs; a mapping if the inputs are one."""
        return tree_map(lambda spec: spec.shape, self.inputs)

    @property
    def label_shape(self) -> Tree[tuple[int, ...]]:
        """The shape of one sample's labels; a mapping if the labels are one."""
        return tree_map(lambda spec: spec.shape, self.labels)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The names of the arrays that a user has; empty for a single one without a name."""
        inputs = tuple(self.inputs) if isinstance(self.inputs, Mapping) else ()
        return next((step.names for step in self.preprocessing if step.names), inputs)

    def match(self, model: Any) -> InputSpec:
        """The spec for a model, which may take some of its inputs as integers."""
        return replace(self, integers=integer_inputs(model))

    def scale_of(self, name: str | None) -> float | None:
        """The ``scale`` of an input for :func:`scaled`: None if the model takes integers."""
        return None if name in self.integers else self.scale

    def preprocess(self, raw: Arrays) -> Arrays:
        """Apply the fitted steps to samples as a user has them; the data set's are preprocessed.

        Args:
            raw: An array ``(samples, ...)``, or a mapping of those of :attr:`raw_names`.

        Returns:
            Arrays in the form of ``inputs``.

        Raises:
            ValueError: If they are not of the form that a step was fitted to.
        """
        for step in self.preprocessing:
            raw = step.apply(raw)
        return raw

    def prepare(self, inputs: Arrays) -> Arrays:
        """Prepare a batch of inputs for the model.

        Args:
            inputs: An array ``(batch, *input_shape)`` of integers or floats, or a mapping of
                several.

        Returns:
            The same shapes, float32: integers are divided by ``scale``. Integers that the model
            takes as such are int32, and not divided.
        """
        return map_named(self._prepare_array, inputs)

    def _prepare_array(self, name: str | None, inputs: np.ndarray) -> np.ndarray:
        is_integer, scale = np.issubdtype(inputs.dtype, np.integer), self.scale_of(name)
        prepared: np.ndarray = scaled(
            inputs, scale, is_integer=is_integer, cast=_float32, divide=operator.itruediv
        )
        dtype = np.int32 if is_integer and scale is None else np.float32
        return prepared.astype(dtype, copy=False)

    def to_json(self) -> str:
        """The spec as JSON, for :meth:`from_json`.

        Raises:
            DlrunError: If a preprocessing step is not dlrun's own, so that it can't be read again.
        """
        classes = dict(_named(self.num_classes))
        targets = None if self.targets is None else dict(_named(self.targets))
        content = {
            "version": VERSION,
            "inputs": [
                {**_entry(name, spec), **_given("sizes", list(self.sizes.get(name, ())))}
                for name, spec in _named(self.inputs)
            ],
            "outputs": [
                {
                    **_entry(name, spec),
                    "num_classes": classes[name],
                    **_given("target", targets[name].state() if targets else None),
                }
                for name, spec in _named(self.labels)
            ],
            "scale": self.scale,
            "preprocessing": [to_entry(step) for step in self.preprocessing],
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str) -> InputSpec:
        """Read a spec from an untrusted source.

        Args:
            text: The JSON from :meth:`to_json`.
            source: The path of the file, for error messages.

        Raises:
            DlrunError: If it is damaged, of another version, or too large.
        """
        try:
            if len(text) > MAX_BYTES:
                raise ValueError(f"it has {len(text):,} characters, more than {MAX_BYTES:,}")
            return cls(**_read(json.loads(text)))
        except RecursionError:
            problem = "it is nested too deeply"
        except (ValueError, OverflowError) as error:
            problem = str(error)
        raise DlrunError(
            f"{source} can't be read as an input specification: {problem}",
            hint="copy it again from the original run, or remove it to read the data set instead",
        )


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)


def _named(tree: Tree[Any]) -> Iterator[tuple[str | None, Any]]:
    """The leaves with their names; a single leaf is named None."""
    if isinstance(tree, Mapping):
        yield from tree.items()
    else:
        yield None, tree


def _entry(name: str | None, spec: ArraySpec) -> dict[str, Any]:
    return {"name": name, "shape": list(spec.shape), "dtype": spec.dtype}


def _given(key: str, value: Any) -> dict[str, Any]:
    return {key: value} if value else {}


def _read(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("expected a mapping")
    if (version := content.get("version")) != VERSION:
        raise ValueError(f"its version is {version!a:.80}; this dlrun reads {VERSION}")
    _require_keys(content, {"version", "inputs", "outputs", "scale", "preprocessing"}, "it")
    steps = content["preprocessing"]
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise ValueError(f"preprocessing is not a list of at most {MAX_STEPS} steps")
    scale = content["scale"]
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise ValueError(f"scale is {scale!a:.80}, expected a number above 0")
    inputs, outputs = (_by_name(content[part], part) for part in ("inputs", "outputs"))
    targets = dict(_named(tree_map(lambda array: array.target, outputs)))
    if None in targets.values() and len({*targets.values()}) > 1:
        raise ValueError("some outputs have a target, and some have none")
    return {
        "inputs": tree_map(lambda array: array.spec, inputs),
        "labels": tree_map(lambda array: array.spec, outputs),
        "num_classes": tree_map(lambda array: array.num_classes, outputs),
        "sizes": {name: array.sizes for name, array in _named(inputs) if array.sizes},
        "targets": None if None in targets.values() else targets.get(None, targets),
        "scale": float(scale),
        "preprocessing": tuple(map(from_entry, steps)),
    }


class _Entry(NamedTuple):
    spec: ArraySpec
    num_classes: int
    sizes: tuple[int, ...]
    target: Target | None


def _by_name(entries: Any, part: str) -> Tree[_Entry]:
    """The arrays of a part: one, or a mapping of several."""
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_ARRAYS:
        raise ValueError(f"{part} is not a list of 1 to {MAX_ARRAYS} arrays")
    arrays = {}
    for number, entry in enumerate(entries):
        place = f"{part}[{number}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{place} is not a mapping")
        classes, optional = ({"num_classes"}, "target") if part == "outputs" else (set(), "sizes")
        _require_keys(
            {**entry, optional: None}, {"name", "shape", "dtype", *classes, optional}, place
        )
        name = entry["name"]
        if not _is_name(name) and not (name is None and len(entries) == 1):
            raise ValueError(f"{place}.name is {name!a:.80}, expected a name")
        if name in arrays:
            raise ValueError(f"{part} has two arrays named {name!a:.80}")
        target = entry.get("target")
        arrays[name] = _Entry(
            _array(entry, place),
            _classes(entry, place) if classes else 1,
            _sizes(entry.get("sizes", []), place),
            None if target is None else Target.from_state(target),
        )
    return arrays.get(None, arrays)


def _sizes(sizes: Any, place: str) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not all(_is_size(size) and size > 0 for size in sizes):
        raise ValueError(f"{place}.sizes is {sizes!a:.80}, expected numbers of ids")
    return tuple(sizes)


def _array(entry: Mapping[str, Any], place: str) -> ArraySpec:
    shape, dtype = entry["shape"], entry["dtype"]
    sizes = isinstance(shape, list) and len(shape) <= MAX_AXES and all(map(_is_size, shape))
    if not sizes or math.prod(shape) > MAX_VALUES:
        raise ValueError(f"{place}.shape is {shape!a:.80}, expected the sizes of a sample's axes")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{place}.dtype is {dtype!a:.80}, expected integers or floats")
    return ArraySpec(tuple(shape), dtype)


def _classes(entry: Mapping[str, Any], place: str) -> int:
    classes = entry["num_classes"]
    if not _is_size(classes) or classes < 1:
        raise ValueError(f"{place}.num_classes is {classes!a:.80}, expected at least 1")
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

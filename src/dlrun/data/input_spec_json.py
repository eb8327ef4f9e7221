"""The input specification as JSON: a file beside each run, which may come from anyone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.preprocessing import MAX_STEPS, from_entry, to_entry
from dlrun.data.targets import Target
from dlrun.data.tree import Tree, as_tree, leaves_by_name, tree_map
from dlrun.errors import DlrunError

VERSION = 1
# Limits far above any model's needs, as a file may come from anyone. A vocabulary is in it.
MAX_BYTES = 64 * 2**20
MAX_ARRAYS = 1000
MAX_NAME = 200
MAX_AXES = 32
MAX_VALUES = 2**31  # values per sample, and number of classes
DTYPES = frozenset(np.dtype(code).name for code in np.typecodes["AllInteger"] + "efdg")


def spec_to_json(spec: InputSpec) -> str:
    """The spec as JSON, for :func:`spec_from_json`.

    Raises:
        DlrunError: If a preprocessing step is not dlrun's own, so that it can't be read again.
    """
    classes = leaves_by_name(spec.num_classes)
    targets = None if spec.targets is None else leaves_by_name(spec.targets)
    content = {
        "version": VERSION,
        "inputs": [
            {**_entry(name, array), **_without_none("sizes", list(spec.sizes.get(name, ())))}
            for name, array in leaves_by_name(spec.inputs).items()
        ],
        "outputs": [
            {
                **_entry(name, array),
                "num_classes": classes[name],
                **_without_none("target", targets[name].state() if targets else None),
            }
            for name, array in leaves_by_name(spec.labels).items()
        ],
        "scale": spec.scale,
        "preprocessing": [to_entry(step) for step in spec.preprocessing],
    }
    return json.dumps(content, indent=2) + "\n"


def spec_from_json(text: str, *, source: str) -> InputSpec:
    """Read a spec from an untrusted source.

    Args:
        text: The JSON from :func:`spec_to_json`.
        source: The path of the file, for error messages.

    Raises:
        DlrunError: If it is damaged, of another version, or too large.
    """
    try:
        if len(text) > MAX_BYTES:
            raise ValueError(f"it has {len(text):,} characters, more than {MAX_BYTES:,}")
        return InputSpec(**_read(json.loads(text)))
    except RecursionError:
        problem = "it is nested too deeply"
    except (ValueError, OverflowError) as error:
        problem = str(error)
    raise DlrunError(
        f"{source} can't be read as an input specification: {problem}",
        hint="copy it again from the original run, or remove it to read the data set instead",
    )


def _entry(name: str | None, spec: ArraySpec) -> dict[str, Any]:
    return {"name": name, "shape": list(spec.shape), "dtype": spec.dtype}


def _without_none(key: str, value: Any) -> dict[str, Any]:
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
    targets = leaves_by_name(tree_map(lambda array: array.target, outputs))
    if None in targets.values() and len({*targets.values()}) > 1:
        raise ValueError("some outputs have a target, and some have none")
    return {
        "inputs": tree_map(lambda array: array.spec, inputs),
        "labels": tree_map(lambda array: array.spec, outputs),
        "num_classes": tree_map(lambda array: array.num_classes, outputs),
        "sizes": {
            name: array.sizes for name, array in leaves_by_name(inputs).items() if array.sizes
        },
        "targets": None if None in targets.values() else as_tree(targets),
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
    return as_tree(arrays)


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

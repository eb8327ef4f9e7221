"""Check a data set's inputs against the model: ids that an Embedding does not have, and padding.

Backends look up an id past the end, or a negative one, in different ways and mostly without an
error; a sample that is all padding makes some models return NaN.

Import it after the backend has started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from dlrun.assembly.input_uses import Use, find_uses, takes_fractions
from dlrun.data.dataset import SPLITS, Dataset
from dlrun.data.input_spec import InputSpec
from dlrun.data.tree import Arrays, leaf, tree_map
from dlrun.errors import DlrunError
from dlrun.system.finite import chunks, first_outside, first_wrong

INT32 = np.iinfo(np.int32)
EXACT = 2**24  # the largest integer up to which float32 holds each one


def match_inputs(model: keras.Model, data: Dataset) -> Dataset:
    """Check the inputs of every split against the model.

    Args:
        model: A built model, without or with its trained weights.
        data: The data set.

    Returns:
        The data set as the model takes it, see :meth:`dlrun.data.dataset.Dataset.match`.

    Raises:
        DlrunError: If an id or a sample does not fit the model; names it.
    """
    data = data.match(model)
    named = {f"{split}.inputs": getattr(data, split).inputs for split in SPLITS}
    check_inputs(model, data.spec, {f"data: {label}": inputs for label, inputs in named.items()})
    return data


def check_inputs(model: keras.Model, spec: InputSpec, inputs: Mapping[str, Arrays]) -> None:
    """Check samples against the model.

    Args:
        model: A built model.
        spec: From :meth:`dlrun.data.input_spec.InputSpec.match`.
        inputs: The samples, by the label to name them by.

    Raises:
        DlrunError: As :func:`match_inputs`.
    """
    uses = find_uses(model, spec)
    for label, arrays in inputs.items():
        problems = (
            *_fractions(model, uses, spec, label, arrays),
            *_wrong_ids(uses, spec, label, arrays),
            *_too_large(spec, label, arrays),
        )
        for problem, hint in problems:
            raise DlrunError(problem, hint=hint)
        for use in uses:
            _check_padding(model, spec, use, label, arrays)


def _at(label: str, name: str | None, index: tuple[int, ...]) -> str:
    return f"{label}{'' if name is None else f'[{name!r}]'}[{', '.join(map(str, index))}]"


def _wrong_ids(
    uses: list[Use], spec: InputSpec, label: str, arrays: Arrays
) -> Iterator[tuple[str, str]]:
    """Yield each id that an Embedding does not have."""
    for use in uses:
        if not isinstance(use.layer, keras.layers.Embedding):
            continue
        array, size = leaf(arrays, use.name), use.layer.input_dim
        low = 0 if use.negative else -np.inf
        high = size - 1 if use.large is not None and size <= use.large else np.inf
        rounded = use.name not in spec.integers
        if (bad := first_outside(array, low, high, use.values)) is not None:
            value, layer = array[bad], use.layer.name
            limit = f"the Embedding '{layer}' has input_dim={size}: ids from 0 to {size - 1}"
            larger = f"raise input_dim to at least {int(value) + 1}, or " if value > 0 else ""
            hint = f"{larger}map it to an id of the vocabulary"
            yield f"{_at(label, use.name, bad)} is {value}, but {limit}", hint
        elif rounded and size > EXACT and (bad := first_outside(array, low, EXACT, use.values)):
            problem = f"is {array[bad]}, which float32 rounds, as the model's input is no integer"
            yield f"{_at(label, use.name, bad)} {problem}", "keras.Input(shape, dtype='int32')"


def _fractions(
    model: keras.Model, uses: list[Use], spec: InputSpec, label: str, arrays: Arrays
) -> Iterator[tuple[str, str]]:
    """Yield a number that is not whole where integers are taken: it would be cut off."""
    for name in spec.integers:
        if (bad := _first_fraction(leaf(arrays, name), None)) is not None:
            value = leaf(arrays, name)[bad]
            yield f"{_at(label, name, bad)} is {value}, but the model takes integers", "round it"
    for use in uses:
        if not isinstance(use.layer, keras.layers.Embedding):
            continue
        bad = _first_fraction(leaf(arrays, use.name), use.values)
        if bad is not None and takes_fractions(model, spec, use.layer, _row(arrays, bad[0])):
            place, layer = _at(label, use.name, bad), use.layer.name
            problem = f"{place} is {leaf(arrays, use.name)[bad]}, but the Embedding '{layer}'"
            yield f"{problem} takes ids, which are whole", "map it to an id of the vocabulary"


def _first_fraction(array: np.ndarray, values: np.ndarray | None) -> tuple[int, ...] | None:
    if not np.issubdtype(array.dtype, np.floating):
        return None
    return first_wrong(array, _is_whole, lambda part: part != np.rint(part), values)


def _is_whole(part: np.ndarray) -> bool:
    return bool((part == np.rint(part)).all())


def _too_large(spec: InputSpec, label: str, arrays: Arrays) -> Iterator[tuple[str, str]]:
    """Yield each integer that does not get to the model as it is, in int32."""
    for name in spec.integers:
        array = leaf(arrays, name)
        if np.can_cast(array.dtype, np.int32):
            continue
        least, most = INT32.min, INT32.max
        because = f"but the model takes int32: {least} to {most}"
        if array.dtype == np.float64:
            least, most = -EXACT, EXACT
            because = "which float32 rounds: give the array an integer dtype"
        bad = first_outside(array, least, most)
        if bad is not None:
            problem = f"{_at(label, name, bad)} is {array[bad]}, {because}"
            yield problem, "map it to a smaller number"


def _check_padding(
    model: keras.Model, spec: InputSpec, use: Use, label: str, arrays: Arrays
) -> None:
    """Refuse a sample of padding alone for which the model returns NaN, as a masked mean does."""
    is_embedding = isinstance(use.layer, keras.layers.Embedding)
    pad = 0 if is_embedding else use.layer.mask_value
    if (is_embedding and not use.layer.mask_zero) or not isinstance(pad, int | float):
        return
    array = leaf(arrays, use.name)
    if not len(array):
        return
    padded, other = _padded_row(array.reshape(len(array), -1), use.values, pad)
    if padded is None or _is_finite(model, spec, arrays, padded):
        return
    if other is not None and not _is_finite(model, spec, arrays, other):
        return  # the weights are the cause
    name = "" if use.name is None else f"[{use.name!r}]"
    raise DlrunError(
        f"{label}{name}[{padded}] is padding alone, {pad:g}, which '{use.layer.name}' masks: the"
        " model returns nan for it",
        hint="remove the sample, or leave a value that is not masked",
    )


def _padded_row(flat: np.ndarray, values: np.ndarray, pad: float) -> tuple[int | None, int | None]:
    """The first row that is padding alone, and the first that is not."""
    padded = other = None
    for start, chunk in chunks(flat):
        part = chunk if len(values) == flat.shape[1] else chunk[:, values]
        is_other = (part != pad).any(axis=1)
        if other is None and is_other.any():
            other = start + int(is_other.argmax())
        if not is_other.all():
            return start + int(is_other.argmin()), other
    return padded, other


def _row(arrays: Arrays, row: int) -> Any:
    return tree_map(lambda array: np.asarray(array[row : row + 1]), arrays)


def _is_finite(model: keras.Model, spec: InputSpec, arrays: Arrays, row: int) -> bool:
    sample = _row(arrays, row)
    with np.errstate(invalid="ignore"):
        outputs = model(spec.prepare(sample), training=False)
    flat = keras.tree.flatten(outputs)
    return all(np.isfinite(keras.ops.convert_to_numpy(output)).all() for output in flat)

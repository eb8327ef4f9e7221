"""Find which values of a model's inputs reach an Embedding or a Masking layer as they are.

The model is called on marked values that no computation gives by accident, and each such layer
notes which of them it gets. So a graph, a subclassed model, a layer within a layer, a slice and a
shared layer are all seen, and a value that anything has changed is not.

Import it after the backend has started.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlrun.data.input_spec import InputSpec
from dlrun.data.tree import leaves, map_named, tree_map

STEP = 61  # between two marks, so that the sum of a mark and a small number is none

log = logging.getLogger("dlrun")


@dataclass(frozen=True)
class Use:
    """The values of one input that a layer gets.

    Args:
        layer: An Embedding or a Masking layer.
        name: The input's name; None for a single one.
        values: The indices of the values in a flattened sample, ``(values,)`` int64.
        large: The number from which on larger values reach it too; None if they do not.
        negative: Whether negative values would reach it.
    """

    layer: Any
    name: str | None
    values: np.ndarray
    large: int | None
    negative: bool


def find_uses(model: keras.Model, spec: InputSpec) -> list[Use]:
    """The inputs' uses by the model's Embedding and Masking layers; none if it has none.

    Args:
        model: A built model; it is called without being changed, up to the last of these layers.
        spec: Its inputs.
    """
    layers = [layer for layer in model._flatten_layers() if _is_watched(layer)]
    size = sum(int(np.prod(shape)) for shape in leaves(spec.input_shape))
    # Float32 holds integers up to 2**24. No half and no double of a mark is a mark.
    whole = len(spec.integers) == len(leaves(spec.inputs))
    least = 2**29 if whole else 2**23
    if not layers or not 0 < size * STEP < least:
        return []
    marks = np.random.default_rng(0).permutation(least + STEP * np.arange(size))
    places, inputs = _mark_samples(spec, marks)
    received: list[tuple[Any, np.ndarray]] = []
    try:
        with np.errstate(all="ignore"):  # on NumPy, of what the marks lead to
            calls = _count_calls(model, layers, spec)
            with _watch(layers, received, calls):
                model(spec.prepare(inputs), training=False)
    except _EverythingNoted:
        pass
    except Exception as error:  # such values may be illegal elsewhere in the model
        log.debug("inputs not followed: %s", error)
    index = {int(mark): place for mark, place in zip(marks, places, strict=True)}
    return [use for layer, values in received for use in _uses(layer, values, index, least)]


def takes_fractions(model: keras.Model, spec: InputSpec, layer: Any, sample: Any) -> bool:
    """Whether an Embedding gets numbers that are not whole: a model may round them itself.

    Args:
        model: As for :func:`find_uses`.
        spec: Its inputs.
        layer: The Embedding.
        sample: Inputs with an axis of one sample.
    """
    received: list[tuple[Any, np.ndarray]] = []
    try:
        with np.errstate(all="ignore"), _watch([layer], received, sys.maxsize):
            model(spec.prepare(sample), training=False)
    except Exception as error:
        log.debug("a sample not followed: %s", error)
    return any((values != np.rint(values)).any() for _, values in received)


class _EverythingNoted(Exception):  # noqa: N818 - the end, not an error
    """No layer is left to receive a value."""


def _is_watched(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Embedding | keras.layers.Masking)


def _mark_samples(spec: InputSpec, marks: np.ndarray) -> tuple[list[tuple[str | None, int]], Any]:
    """Two samples, of the marks and of their negatives; and each mark's input and index."""
    places: list[tuple[str | None, int]] = []

    def mark(name: str | None, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape))
        values = marks[len(places) : len(places) + size].reshape(shape)
        places.extend((name, index) for index in range(size))
        return np.stack([values, -values])

    def cast(array: Any, dtype: str) -> np.ndarray:
        typed: np.ndarray = array.astype(
            np.int32 if np.issubdtype(dtype, np.integer) else np.float32
        )
        return typed

    inputs = map_named(mark, spec.input_shape)
    dtypes = iter(array.dtype for array in leaves(spec.inputs))
    return places, tree_map(lambda array: cast(array, next(dtypes)), inputs)


def _count_calls(model: Any, layers: Sequence[Any], spec: InputSpec) -> int:
    """How often a call of the model calls the layers, without computing anything."""
    calls = 0

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            return function(*arguments, **keywords)

        return count

    def symbol(name: str | None, shape: tuple[int, ...]) -> Any:
        dtype = "int32" if name in spec.integers else "float32"
        return keras.KerasTensor((2, *shape), dtype)

    replaced = {
        layer: {
            "call": counting(_call(layer)),
            "compute_output_spec": counting(layer.compute_output_spec),
        }
        for layer in layers
    }
    with _methods(replaced):
        model.compute_output_spec(map_named(symbol, spec.input_shape))
    return calls


@contextmanager
def _watch(
    layers: Sequence[Any], received: list[tuple[Any, np.ndarray]], calls: int
) -> Iterator[None]:
    """Note what the layers receive.

    Raises:
        _EverythingNoted: After this number of calls.
    """

    def watching(layer: Any) -> Callable[..., Any]:
        call = _call(layer)

        def note(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
            received.append((layer, np.asarray(keras.ops.convert_to_numpy(inputs))))
            if len(received) >= calls:
                raise _EverythingNoted
            return call(inputs, *arguments, **keywords)

        return note

    with _methods({layer: {"call": watching(layer)} for layer in layers}):
        yield


def _call(layer: Any) -> Callable[..., Any]:
    """The layer's call; an Embedding looks nothing up, as no mark is in its vocabulary."""
    if isinstance(layer, keras.layers.Masking):
        return layer.call  # type: ignore[no-any-return]

    def zeros(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        return keras.ops.zeros((*inputs.shape, layer.output_dim), layer.compute_dtype)

    return zeros


@contextmanager
def _methods(replaced: dict[Any, dict[str, Callable[..., Any]]]) -> Iterator[None]:
    """Replace methods of these objects alone, past Keras' tracking of attributes."""
    for layer, methods in replaced.items():
        vars(layer).update(methods)
    try:
        yield
    finally:
        for layer, methods in replaced.items():
            for name in methods:
                del vars(layer)[name]


def _uses(
    layer: Any, values: np.ndarray, index: Mapping[int, tuple[str | None, int]], least: int
) -> Iterator[Use]:
    if values.ndim == 0 or len(values) != 2:
        return
    large, negative = ({index.get(sign * int(v)) for v in row} for row, sign in _rows(values))
    for name in dict.fromkeys(name for name, _ in filter(None, (*large, *negative))):
        found = [{p[1] for p in side if p and p[0] == name} for side in (large, negative)]
        seen = found[0] | found[1]
        yield Use(
            layer,
            name,
            np.array(sorted(seen)),
            large=least if found[0] == seen else None,
            negative=found[1] == seen,
        )


def _rows(values: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """The two samples, flattened, each with the sign of its marks."""
    with np.errstate(invalid="ignore"):
        whole = np.where(values == np.rint(values), values, 0).astype(np.int64)
    return [(whole[0].ravel(), 1), (whole[1].ravel(), -1)]

"""A batch in parts, each on a device of TensorFlow: the model's call, and what spans the batch.

A strategy traces the parts in threads, one after another, which wait for each other where one of
them asks for something of all parts.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import core as keras_core  # Keras exports no other way
from keras.src.backend.tensorflow import random as keras_random
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

from dlrun.backends._spread_layers import moments_of_batch, refusal
from dlrun.backends._tensorflow_devices import state
from dlrun.losses.masks import masks_of, set_masks


class _Part(threading.local):
    """The part that this thread traces.

    A part has one sample at least, so that layers never get an empty batch: in a batch with fewer
    samples than devices it does not count.
    """

    active = False
    number = 0
    whole: Any = 0  # samples of the batch
    first: Any = 0  # this part's first sample
    counted: Any = 0  # how many of this part's samples count
    size: Any = 0  # how many it has

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], Any] = {}  # of layers by their ids, see _OfPart


_part = _Part()


class _OfPart:
    """An attribute in which a layer keeps a tensor within a call: each part has its own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        return _part.kept.get((id(layer), self._name))

    def __set__(self, layer: Any, value: Any) -> None:
        _part.kept[id(layer), self._name] = value


# What draws from the generators of TensorFlow, beside what is named Random or Rng. Keras draws by
# operations without a state.
OWN_DRAWS = ("Multinomial", "ParameterizedTruncatedNormal", "TruncatedNormal")


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def call(model: Any, inputs: Any, *, training: bool) -> Any:
    """The model's outputs of the whole batch, each part of it computed on its device."""
    count = state.strategy.num_replicas_in_sync
    first_input = keras.tree.flatten(inputs)[0]
    whole = first_input.shape[0] or tf.shape(first_input)[0]
    edges = [whole * number // count for number in range(count + 1)]
    least = max if isinstance(whole, int) else tf.maximum
    parts: list[Any] = [None] * count
    masks: list[Any] = [None] * count
    added: list[bool] = [False] * count

    def compute() -> None:
        context = tf.distribute.get_replica_context()
        number = int(tf.get_static_value(context.replica_id_in_sync_group))
        first, last = edges[number], edges[number + 1]
        size = least(last - first, 1)
        _part.active, _part.number, _part.whole = True, number, whole
        _part.first, _part.counted, _part.size = first, last - first, size
        own = keras.tree.map_structure(lambda x: x[first : first + size], inputs)
        outputs = model(own, training=training)
        masks[number] = {n: mask[: last - first] for n, mask in masks_of(outputs).items()}
        parts[number] = keras.tree.map_structure(lambda x: x[: last - first], outputs)
        added[number] = any(layer._losses for layer in model._flatten_layers())

    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    state.strategy.run(compute)
    if _draws(graph, graph.get_operations()[before:]):
        raise refusal("a layer that draws random numbers of TensorFlow's own")
    if any(added):
        raise refusal("add_loss of a layer")
    outputs = keras.tree.map_structure(lambda *of: tf.concat(of, 0), *parts)
    set_masks(outputs, {n: tf.concat([mask[n] for mask in masks], 0) for n in masks[0]})
    return outputs


def _draws(graph: Any, operations: Sequence[Any]) -> bool:
    """Whether operations, or functions that they call, draw from TensorFlow's own generators."""
    fields = {field.name: value for field, value in graph.as_graph_def().ListFields()}
    defined = fields["library"].function if "library" in fields else ()
    functions = {function.signature.name: function for function in defined}
    pending, seen = [operation.node_def for operation in operations], set[str]()
    while pending:
        node = pending.pop()
        if node.op.startswith(("Random", "Rng")) or node.op in OWN_DRAWS:
            return True
        attributes = node.attr.values()
        called = {f.name for value in attributes for f in (value.func, *value.list.func)}
        for name in ((called | {node.op}) & functions.keys()) - seen:
            seen.add(name)
            pending += functions[name].node_def
    return False


def _of_all(function: Callable[..., Any], *values: Any) -> Any:
    """What a function makes of the values of all parts, as a list for each of ``values``."""

    def merge(strategy: Any, *each: Any) -> Any:
        return function(*(list(strategy.experimental_local_results(value)) for value in each))

    try:
        return tf.distribute.get_replica_context().merge_call(merge, args=values)
    except RuntimeError as error:
        if "merge_call" not in str(error):
            raise
        raise refusal("a layer that draws random numbers or has statistics in a loop") from error


@contextmanager
def across_parts() -> Iterator[None]:
    """Let what spans a batch span its parts: statistics, random numbers, and what they update."""
    with ExitStack() as stack:
        for owner, name, value in (
            (keras.layers.BatchNormalization, "_moments", _moments),
            (keras_core.Variable, "_direct_assign", _direct_assign),
            (keras_random, "dropout", _dropout),
            *((keras_random, name, _draw_by_sample(getattr(keras_random, name))) for name in DRAWS),
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        for name in ("_dropout_mask", "_recurrent_dropout_mask"):
            stack.callback(delattr, DropoutRNNCell, name)
            setattr(DropoutRNNCell, name, _OfPart(name))
        yield


_of_part = keras.layers.BatchNormalization._moments


def _moments(layer: Any, inputs: Any, mask: Any) -> Any:
    """In place of Keras' method: mean and variance of the whole batch."""
    if not _part.active:
        return _of_part(layer, inputs, mask)
    rows = tf.shape(inputs)[0]  # several to a sample where a layer has joined axes
    does_count = tf.range(rows) < rows // _part.size * _part.counted
    counted = tf.reshape(does_count, [-1, *[1] * (inputs.shape.rank - 1)])
    counted = tf.broadcast_to(tf.cast(counted, inputs.dtype), tf.shape(inputs))
    return moments_of_batch(layer, inputs, counted, mask, functools.partial(_of_all, tf.add_n))


_assign = keras_core.Variable._direct_assign


def _direct_assign(variable: Any, value: Any) -> None:
    """In place of Keras' method: what all parts compute alike is assigned once."""
    if not _part.active:
        _assign(variable, value)
    elif variable.path.rpartition("/")[2] not in ("moving_mean", "moving_variance"):
        raise refusal(f"a layer that changes {variable.path} in its call")
    elif _part.number == 0:
        _assign(variable, value)


DRAWS = ("normal", "uniform", "truncated_normal")
_of_one = keras_random.dropout


def _dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """In place of Keras' function: draw for the whole batch, and take what belongs to this part."""
    if not _part.active or rate in (0.0, 1.0):
        return _of_one(inputs, rate, noise_shape, seed)
    shape: Any = tf.shape(inputs)
    if by_sample := _by_sample(inputs.shape[0]):
        shape = tf.concat([[_part.whole], shape[1:]], 0)
        if noise_shape is not None and _by_sample(noise_shape[0]):
            noise_shape = (_part.whole, *noise_shape[1:])

    def draw(_: Any) -> Any:
        return _of_one(tf.ones(shape, inputs.dtype), rate, noise_shape, seed)

    drawn = _of_all(draw, 0)
    return inputs * (tf.ensure_shape(_take_part(drawn), inputs.shape) if by_sample else drawn)


def _draw_by_sample(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A function of random numbers that draws for the whole batch, and takes this part's."""

    @functools.wraps(draw)
    def part(shape: Any, *arguments: Any, **keywords: Any) -> Any:
        if not _part.active:
            return draw(shape, *arguments, **keywords)
        if not len(shape) or not _by_sample(shape[0]):
            return _of_all(lambda _: draw(shape, *arguments, **keywords), 0)
        whole = (_part.whole, *shape[1:])
        return _take_part(_of_all(lambda _: draw(whole, *arguments, **keywords), 0))

    return part


def _by_sample(size: Any) -> bool:
    """Whether the first axis of an array, of this size, is that of the part's samples."""
    return not isinstance(size, int) or size == _part.size


def _take_part(whole: Any) -> Any:
    """What belongs to this part of an array of all samples."""
    return whole[_part.first : _part.first + _part.size]

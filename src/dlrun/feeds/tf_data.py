"""A ``tf.data.Dataset``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from dlrun.data.scaling import scale_inputs
from dlrun.data.tree import map_named
from dlrun.system.arrays import is_mapped

if TYPE_CHECKING:
    from dlrun.data.batches import Batches


def tf_data(batches: Batches) -> tf.data.Dataset:
    """Gather and scale each batch inside ``tf.data``; only the order comes from Python.

    The order comes once per epoch rather than with each batch: a Python generator beside
    TensorFlow's threads made epochs on two cores vary between 3.8 s and 5.8 s. Arrays that lie in a
    file are not read into memory: NumPy gathers each batch of them.
    """
    split, spec = batches.split, batches.dataset.spec
    weights = [] if split.weights is None else [split.weights]
    takes = tf.nest.map_structure(_take_from, (split.inputs, split.labels, *weights))

    def float32(array: Any) -> Any:
        return tf.cast(array, tf.float32)

    def prepare(name: str | None, inputs: Any) -> Any:
        is_integer, scale = inputs.dtype.is_integer, spec.scale_of(name)
        prepared = scale_inputs(inputs, scale, is_integer=is_integer, cast=float32)
        return tf.cast(prepared, tf.int32 if is_integer and scale is None else tf.float32)

    def cast_labels(labels: Any) -> Any:
        return tf.cast(labels, tf.int32 if labels.dtype.is_integer else tf.float32)

    def sample_indices(_: Any) -> tf.data.Dataset:
        order = tf.numpy_function(lambda: batches.order, [], tf.int64)
        order.set_shape((None,))
        return tf.data.Dataset.from_tensor_slices(order).batch(batches.batch_size)

    def gather(indices: Any) -> tuple[Any, ...]:
        inputs, labels, *weights = tf.nest.map_structure(lambda take: take(indices), takes)
        labels = tf.nest.map_structure(cast_labels, labels)
        return map_named(prepare, inputs), labels, *tf.nest.map_structure(float32, weights)

    # Autograph would first read and rewrite the sources of all that they call.
    as_it_is = tf.autograph.experimental.do_not_convert
    indices = tf.data.Dataset.range(1).flat_map(as_it_is(sample_indices))
    source = indices.map(as_it_is(gather), num_parallel_calls=tf.data.AUTOTUNE)
    source = source.prefetch(tf.data.AUTOTUNE)
    if batches.waits is not None:
        source = _timed(source, batches.waits)
    source = source.apply(tf.data.experimental.assert_cardinality(len(batches)))
    # The end of an epoch would wait for the autotuner, 0.2 s and more.
    options = tf.data.Options()
    options.autotune.enabled = False
    return source.with_options(options)


def _timed(
    source: tf.data.Dataset, waits: list[Callable[[], tuple[int, float]]]
) -> tf.data.Dataset:
    """Count the batches and the seconds from the request for each to its arrival.

    Both ends of the interval are measured where the consumer asks, behind the prefetching.
    """
    with tf.device("CPU"):
        counted = tf.Variable(tf.zeros(2, tf.float64), trainable=False)

    def count(asked: Any, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        counted.assign_add([1.0, tf.timestamp() - asked])
        return batch

    def since_last() -> tuple[int, float]:
        values = counted.numpy()
        counted.assign_sub(values)
        return int(values[0]), float(values[1])

    as_it_is = tf.autograph.experimental.do_not_convert
    asked = tf.data.Dataset.counter().map(as_it_is(lambda _: tf.timestamp()))
    waits.append(since_last)
    return tf.data.Dataset.zip(asked, source).map(as_it_is(count))


def _take_from(array: np.ndarray) -> Callable[[Any], Any]:
    """A function from indices ``(batch,)`` to the samples of an array."""
    if not is_mapped(array):
        constant = tf.constant(array)
        return lambda indices: tf.gather(constant, indices)

    def take(indices: Any) -> Any:
        taken = tf.numpy_function(lambda i: array[i], [indices], array.dtype, stateful=False)
        taken.set_shape((None, *array.shape[1:]))
        return taken

    return take

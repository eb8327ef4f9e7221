"""A ``tf.data.Dataset``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from dlrun.data.input_spec import scaled

if TYPE_CHECKING:
    from dlrun.data.batches import Batches


def tf_data(batches: Batches) -> tf.data.Dataset:
    """Gather and scale each batch inside ``tf.data``; only the order comes from Python.

    A Python generator beside TensorFlow's threads made epochs on two cores 3.8 s or 5.8 s, as it
    fell out; so the order comes once an epoch, and not with each batch.
    """
    split, scale = batches.split, batches.dataset.spec.scale
    arrays = tf.nest.map_structure(tf.constant, (split.inputs, split.labels))

    def float32(array: Any) -> Any:
        return tf.cast(array, tf.float32)

    def prepared(inputs: Any) -> Any:
        return float32(scaled(inputs, scale, is_integer=inputs.dtype.is_integer, cast=float32))

    def label(labels: Any) -> Any:
        return tf.cast(labels, tf.int32 if labels.dtype.is_integer else tf.float32)

    def chosen(_: Any) -> tf.data.Dataset:
        order = tf.numpy_function(lambda: batches.order, [], tf.int64)
        order.set_shape((None,))
        return tf.data.Dataset.from_tensor_slices(order).batch(batches.batch_size)

    def batch(chosen: Any) -> tuple[Any, Any]:
        inputs, labels = tf.nest.map_structure(lambda array: tf.gather(array, chosen), arrays)
        return tf.nest.map_structure(prepared, inputs), tf.nest.map_structure(label, labels)

    batched = tf.data.Dataset.range(1).flat_map(chosen)
    fed = batched.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    fed = fed.apply(tf.data.experimental.assert_cardinality(len(batches)))
    # A tuner at work is waited for when the epoch is over, 0.2 s and more.
    options = tf.data.Options()
    options.autotune.enabled = False
    return fed.with_options(options)

"""TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.data.batches import Batches

PACKAGE = "tensorflow"
EXTRA = "tensorflow"
TRAINS = True
HIDDEN = ("matplotlib", "jax")
NOISE = ("absl::InitializeLog()", "oneDNN custom operations are on")


def environment(kind: str, *, precision: str, cache_dir: Path | None) -> Mapping[str, str]:
    """See :class:`dlrun.backends.BackendModule`."""
    # 2: errors only; its start-up notices on instruction sets are not for the user of a run.
    return {"TF_CPP_MIN_LOG_LEVEL": "2"}


def version() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    import tensorflow

    return str(tensorflow.__version__)


def devices() -> list[str]:
    """See :class:`dlrun.backends.BackendModule`."""
    return [
        f"{kind}:{index}"
        for kind in ("gpu", "tpu", "cpu")
        for index, _ in enumerate(_physical(kind))
    ]


def use_device(device: str) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import tensorflow

    kind, _, index = device.partition(":")
    # TensorFlow computes on the first accelerator that it sees: let it see this one only.
    gpus = _physical("gpu")
    tensorflow.config.set_visible_devices([gpus[int(index)]] if kind == "gpu" else [], "GPU")


def default_device() -> str:
    """See :class:`dlrun.backends.BackendModule`."""
    return devices()[0]


def seed(seed: int) -> None:
    """See :class:`dlrun.backends.BackendModule`."""
    import tensorflow

    tensorflow.random.set_seed(seed)


def seed_epoch(seed: int) -> None:
    """Seed the generator that draws outside of Keras.

    ``set_seed`` would empty TensorFlow's cache of kernels each time: 0.1 s an epoch.
    """
    import tensorflow

    tensorflow.random.get_global_generator().reset_from_seed(seed)


def feed(batches: Batches) -> Any:
    """Gather and scale each batch inside ``tf.data``.

    A Python generator beside TensorFlow's threads made epochs on two cores 3.8 s or 5.8 s, as it
    fell out; here only the order comes from Python, once an epoch.
    """
    import tensorflow as tf

    inputs, labels = tf.constant(batches.split.inputs), tf.constant(batches.split.labels)
    scale = batches.dataset.scale if inputs.dtype.is_integer else 1.0

    def batch(chosen: Any) -> tuple[Any, Any]:
        gathered = tf.cast(tf.gather(inputs, chosen), tf.float32)
        return gathered / scale, tf.cast(tf.gather(labels, chosen), tf.int32)

    order = tf.data.Dataset.from_generator(
        lambda: iter([batches.order]), output_signature=tf.TensorSpec((None,), tf.int64)
    )
    chosen = order.unbatch().batch(batches.batch_size)
    fed = chosen.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return fed.apply(tf.data.experimental.assert_cardinality(len(batches)))


def _physical(kind: str) -> list[object]:
    import tensorflow

    return list(tensorflow.config.list_physical_devices(kind.upper()))

"""Any network of ``keras.applications``, with a head for the data set."""

import importlib
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun.errors import DlrunError
from dlrun.models.heads import heads

LEAST = 32  # the smallest image that most of them take
SUFFIXES = (".weights.h5", ".h5", ".keras")


def keras_application(
    input_shape: tuple[int, ...],
    num_classes: Any,
    *,
    name: str = "MobileNetV2",
    weights: str | None = None,
    frozen: bool = False,
    dropout: float = 0.0,
    load_weights: bool = True,
) -> keras.Model:
    """A Functional model: the network's own preprocessing, the network, an average, a head.

    Nothing is downloaded. Images below 32 x 32 get a border of zeros.

    Args:
        input_shape: ``(height, width, channels)``, or ``(height, width)`` of grey images; pixels
            from 0 to 1. Grey images are given as three equal channels.
        num_classes: Values of the output, ``(batch_size, num_classes)`` float32; a mapping for
            several outputs.
        name: A function of ``keras.applications``.
        weights: A local file of the network's weights without its top: ``.weights.h5``, ``.h5`` or
            ``.keras``; None starts from random ones.
        frozen: Train the head alone.
        dropout: The share of the features that are dropped in training.
        load_weights: Whether to read the file; not for a run whose checkpoint is loaded.

    Raises:
        DlrunError: If there is no such network, or no such file.
    """
    build = _application(name)
    if weights is not None:
        _check_weights(weights, name, read=load_weights)
    inputs = keras.Input(input_shape)
    x = inputs if len(input_shape) == 3 else keras.layers.Reshape((*input_shape, 1))(inputs)
    if x.shape[-1] == 1:
        x = keras.layers.Concatenate(name="three_channels")([x, x, x])
    missing = [max(LEAST - side, 0) for side in x.shape[1:3]]
    if any(missing):
        border = tuple((m // 2, m - m // 2) for m in missing)
        x = keras.layers.ZeroPadding2D(border, name="border")(x)
    x = _preprocess(x, build)
    network = build(include_top=False, weights=None, input_shape=tuple(x.shape[1:]), pooling="avg")
    if weights is not None and load_weights:
        _load(network, weights, name)
    network.trainable = not frozen
    x = network(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, heads(x, num_classes), name="keras_application")


def _application(name: str) -> Any:
    there = vars(keras.applications)
    names = [n for n, value in there.items() if n[0].isupper() and callable(value)]
    if name not in names:
        near = get_close_matches(name, names, n=1, cutoff=0.4)
        raise DlrunError(
            f"model.name={name}: keras.applications has {', '.join(sorted(names))}",
            hint=f"model.name={near[0]}" if near else None,
        )
    return there[name]


def _check_weights(weights: str, name: str, *, read: bool) -> None:
    save = f"keras.applications.{name}(include_top=False).save_weights('{name}.weights.h5')"
    hint = f'once, where there is a network: python -c "import keras; {save}"'
    if not weights.endswith(SUFFIXES):
        raise DlrunError(
            f"model.weights={weights}: nothing is downloaded; expected a file in"
            f" {', '.join(SUFFIXES)}",
            hint=f"{hint}; then model.weights={name}.weights.h5",
        )
    if read and not Path(weights).is_file():
        raise DlrunError(f"model.weights={weights}: no such file", hint=hint)


def _load(network: keras.Model, weights: str, name: str) -> None:
    try:
        with warnings.catch_warnings():  # several, of a file of another network, before its error
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            network.load_weights(weights)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise DlrunError(
            f"model.weights={weights} does not fit {name} without its top: {reason:.300}",
            hint="save the weights of a network with include_top=False",
        ) from error


def _preprocess(x: Any, build: Any) -> Any:
    """Apply the network's own ``preprocess_input``, which takes pixels from 0 to 255.

    Each of them is ``pixel * scale + offset`` by channel, for some with the channels reversed. So
    it is measured once, and is a layer that is saved and computed like any other.
    """
    module = importlib.import_module(build.__module__)
    probes = np.asarray([[[0, 0, 0], [255, 0, 0], [255, 255, 255]]], np.float32)
    black, red, white = np.asarray(module.preprocess_input(probes), np.float64)[0]
    if abs(red[0] - black[0]) < 0.1:  # the red channel is not the first any more
        x = keras.ops.flip(x, axis=-1)
    scale, offset = (white - black).tolist(), black
    return keras.layers.Rescaling(scale, offset.tolist(), name="preprocess_input")(x)

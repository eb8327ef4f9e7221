"""Augment images in training, by Keras' own random layers.

Import it after the backend has started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from dlrun.config.instantiate import component_errors, instantiate, takes_argument
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.input_spec import InputSpec


def augment(model: keras.Model, config: Config, spec: InputSpec) -> None:
    """Let a model change its inputs at random when it is called in training.

    Every loop calls the model, so the layers are applied in its call; in evaluation, prediction and
    export they are not. They are no layers of the model either. Only their seeds are among its
    variables, like those of a Dropout: each loop passes them on, checkpoints save them, and they
    are set again in each epoch.

    Args:
        model: A built model; changed in place.
        config: The run's config.
        spec: The model's inputs.

    Raises:
        DlrunError: If the inputs are not images, or a layer can't be made, or does not fit.
    """
    if not config.augmentation:
        return
    shape = _image_shape(spec)
    layers = [_layer(name, part, spec) for name, part in config.augmentation.items()]
    for name, layer in zip(config.augmentation, layers, strict=True):
        _check(f"augmentation.{name}", layer, shape)
    parts = [part for layer in layers for part in layer._flatten_layers()]
    for part in parts:
        for generator in part._seed_generators:
            # Past Keras' tracking, which is locked once a model is built.
            list.append(model._seed_generators, generator)
    # XLA of TensorFlow has no affine transformation; jax compiles it.
    if keras.backend.backend() == "tensorflow":
        model.supports_jit = model.supports_jit and all(part.supports_jit for part in parts)
    _wrap_call(model, layers, grey=len(spec.input_shape) == 2)


def _wrap_call(model: keras.Model, layers: Sequence[Any], *, grey: bool) -> None:
    """Apply layers to the model's inputs before its own call.

    Args:
        model: The model.
        layers: Take images ``(batch_size, height, width, channels)``.
        grey: Whether images have no axis of channels.
    """
    call = model.call

    def augmented(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        if _is_training(model, keywords):
            images = keras.ops.expand_dims(inputs, -1) if grey else inputs
            for layer in layers:
                images = layer(images, training=True)
            inputs = keras.ops.squeeze(images, -1) if grey else images
        return call(inputs, *arguments, **keywords)

    vars(model)["call"] = augmented  # past Keras' tracking of attributes


def _is_training(model: keras.Model, keywords: Mapping[str, Any]) -> bool:
    training = keywords.get("training")
    if training is None and not model._call_has_training_arg:
        training = model._get_call_context().get_value("training")  # else its own default counts
    return bool(training)


def _image_shape(spec: InputSpec) -> tuple[int, int, int]:
    shape = spec.input_shape
    if isinstance(shape, Mapping) or len(shape) not in (2, 3):
        has = f"inputs {', '.join(shape)}" if isinstance(shape, Mapping) else f"shape {shape}"
        raise DlrunError(
            f"augmentation: expected images, (height, width) or (height, width, channels); the"
            f" data set has {has}",
            hint="augmentation=[]",
        )
    return (*shape, 1) if len(shape) == 2 else shape  # type: ignore[return-value]


def _layer(name: str, part: Mapping[str, Any], spec: InputSpec) -> Any:
    """A layer in float32, told the range of the values that it gets."""
    key, given = f"augmentation.{name}", {"dtype": "float32"}
    arguments: dict[str, Any] = {k: v for k, v in given.items() if k not in part}
    if "value_range" not in part and takes_argument(key, part, "value_range"):
        pixels = str(getattr(spec.inputs, "dtype", "")) == "uint8"
        arguments["value_range"] = (0.0, 255.0 / spec.scale if pixels else 1.0)
    layer = instantiate(key, part, **arguments)
    if not isinstance(layer, keras.Layer):
        raise DlrunError(f"{key}: {part['_target_']} is no layer", hint="see 'dlrun list'")
    return layer


def _check(key: str, layer: Any, shape: tuple[int, int, int]) -> None:
    with component_errors(key, type(layer).__name__):
        returned = tuple(layer.compute_output_shape((None, *shape)))[1:]
        if not layer.built:
            layer.build((None, *shape))
    if returned != shape:
        raise DlrunError(f"{key}: makes images of shape {returned}, the model takes {shape}")
    if layer.weights:
        raise DlrunError(f"{key}: {type(layer).__name__} has weights, which belong to a model")

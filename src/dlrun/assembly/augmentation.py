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

    Every loop calls the model, so its ``call`` applies the layers, with ``training=True`` alone.
    They do not become layers of the model, which is exported without them. Their seeds do become
    variables of the model, like those of a Dropout: every loop passes them on, checkpoints save
    them, and each epoch sets them anew.

    Args:
        model: A built model; changed in place.
        config: The run's config.
        spec: The model's inputs.

    Raises:
        DlrunError: If the inputs are not images, a layer can't be made or does not fit them, or XLA
            is to compile one that it can't.
    """
    if not config.augmentation:
        return
    shape = _image_shape(spec)
    layers = []
    for name, part in config.augmentation.items():
        layer = _layer(f"augmentation.{name}", part, spec)
        _build(f"augmentation.{name}", layer, shape)
        layers.append(layer)
    parts = [part for layer in layers for part in layer._flatten_layers()]
    for generator in (generator for part in parts for generator in part._seed_generators):
        # Keras' own append is locked once a model is built.
        list.append(model._seed_generators, generator)
    # Keras marks these layers for jax too, which compiles all of them.
    if keras.backend.backend() == "tensorflow":
        _require_compiled(config, layers)
        model.supports_jit = model.supports_jit and all(part.supports_jit for part in parts)
    _wrap_call(model, layers, add_channels=len(spec.input_shape) == 2)


def _require_compiled(config: Config, layers: Sequence[Any]) -> None:
    """Check that TensorFlow's XLA can compile the layers, if the config asks for it.

    Raises:
        DlrunError: If it can't: the first step would fail, or ``fit`` go on without XLA.
    """
    asked = {"compile": "xla", "jit_compile": True}
    keys = [key for key, value in asked.items() if config.loop.get(key) == value]
    for name, layer in zip(config.augmentation, layers, strict=True):
        if keys and not all(part.supports_jit for part in layer._flatten_layers()):
            typed = f"loop.{keys[0]}={str(config.loop[keys[0]]).lower()}"
            raise DlrunError(
                f"{typed}: XLA can't compile augmentation.{name}, {type(layer).__name__}, on"
                " backend 'tensorflow'",
                hint=f"leave out {typed}, or ~augmentation.{name}, or backend=jax",
            )


def _wrap_call(model: keras.Model, layers: Sequence[Any], *, add_channels: bool) -> None:
    """Apply layers to the model's inputs before its own call, in training.

    Args:
        model: The model.
        layers: Take images ``(batch_size, height, width, channels)`` float32, and return such.
        add_channels: Whether the model's images are ``(batch_size, height, width)``.
    """
    call = model.call

    def augment_and_call(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        if _is_training(model, keywords):
            images = keras.ops.expand_dims(inputs, -1) if add_channels else inputs
            for layer in layers:
                images = layer(images, training=True)
            inputs = keras.ops.squeeze(images, -1) if add_channels else images
        return call(inputs, *arguments, **keywords)

    # Not with setattr: Keras would track what the function refers to.
    vars(model)["call"] = augment_and_call


def _is_training(model: keras.Model, keywords: Mapping[str, Any]) -> bool:
    """Whether the current call of a model is one of training."""
    training = keywords.get("training")
    # A subclassed model may have no such argument: Keras then knows it of the outermost call.
    if training is None and not model._call_has_training_arg:
        training = model._get_call_context().get_value("training")
    return bool(training)


def _image_shape(spec: InputSpec) -> tuple[int, int, int]:
    """Height, width and channels of the images.

    Raises:
        DlrunError: If the inputs are not images.
    """
    shape = spec.input_shape
    if isinstance(shape, Mapping) or len(shape) not in (2, 3):
        has = f"inputs {', '.join(shape)}" if isinstance(shape, Mapping) else f"shape {shape}"
        raise DlrunError(
            f"augmentation: expected images, (height, width) or (height, width, channels); the"
            f" data set has {has}",
            hint="augmentation=[]",
        )
    return (*shape, 1) if len(shape) == 2 else shape  # type: ignore[return-value]


def _layer(key: str, part: Mapping[str, Any], spec: InputSpec) -> Any:
    """Make a layer that computes in float32, and give it the range of the model's inputs."""
    arguments: dict[str, Any] = {} if "dtype" in part else {"dtype": "float32"}
    if part.get("value_range") is None and takes_argument(key, part, "value_range"):
        is_uint8 = str(getattr(spec.inputs, "dtype", "")) == "uint8"
        arguments["value_range"] = (0.0, 255.0 / spec.scale if is_uint8 else 1.0)
    layer = instantiate(key, part, **arguments)
    if not isinstance(layer, keras.Layer):
        raise DlrunError(
            f"{key}: {part['_target_']} is not a layer", hint="dlrun list augmentation"
        )
    for nested in layer._flatten_layers():
        if isinstance(nested, keras.layers.RandomSaturation):
            # Keras cuts off a saturation at the highest value of a pixel, and it is a fraction: of
            # images from 0 to 255, pixels come out far below 0.
            nested.value_range = (0.0, 1.0)
    return layer


def _build(key: str, layer: Any, shape: tuple[int, int, int]) -> None:
    """Build a layer, and check that it changes each image by itself and keeps its shape.

    Raises:
        DlrunError: If it does not, or has weights to train.
    """
    kind = type(layer).__name__
    if isinstance(layer, keras.layers.MixUp | keras.layers.CutMix):
        raise DlrunError(
            f"{key}: {kind} mixes images whose labels differ, and labels are not mixed",
            hint=f"~{key} leaves it out",
        )
    with component_errors(key, kind):
        returned = tuple(layer.compute_output_shape((None, *shape)))[1:]
        if not layer.built:
            layer.build((None, *shape))
    if returned != shape:
        raise DlrunError(
            f"{key}: {kind} returns images of shape {returned}, the model takes {shape}",
            hint=f"~{key} leaves it out",
        )
    if layer.weights:
        raise DlrunError(
            f"{key}: {kind} has weights, expected a layer without", hint="make it part of the model"
        )

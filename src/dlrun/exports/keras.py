"""A standard ``.keras`` file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.data.input_spec_json import spec_to_json
from dlrun.errors import DlrunError
from dlrun.system.files import replacing, write_text
from dlrun.system.imports import without_packages

if TYPE_CHECKING:  # Keras is imported before there is a model
    import keras

    from dlrun.data.input_spec import InputSpec


def check_keras(model: keras.Model) -> None:
    """Check that a model can be written, before it trains.

    Raises:
        DlrunError: If it has a layer or a class without ``get_config()``.
    """
    from keras.saving import serialize_keras_object

    with saving(model):
        serialize_keras_object(model)


def export_keras(
    model: keras.Model, *, spec: InputSpec, directory: Path, filename: str = "model.keras"
) -> Path:
    """Write a standard ``.keras`` file atomically, for ``keras.saving.load_model``.

    The model takes preprocessed inputs and returns probabilities, or numbers in the units of the
    target. If there is any preprocessing, or the outputs have names, ``model.inputs.json`` beside
    it says which, as the run's ``inputs.json`` does.

    Args:
        model: Its outputs are predictions.
        spec: What it takes and returns.
        directory: The run's.
        filename: Within it; ends in ``.keras``.

    Returns:
        Where the file is.

    Raises:
        DlrunError: If the model has a layer or a class without ``get_config()``.
    """
    path = directory / filename
    with replacing(path) as partial, saving(model):
        model.save(partial)
    if spec.preprocessing or spec.targets is not None:
        write_text(path.with_suffix(".inputs.json"), spec_to_json(spec))
    return path


@contextmanager
def saving(model: keras.Model) -> Iterator[None]:
    """Save a model without its losses and optimizer, and say what can't be saved.

    Raises:
        DlrunError: If it has a layer or a class without ``get_config()``.
    """
    try:
        with without_packages(["tensorflow"]), _without_compilation(model):
            yield
    except NotImplementedError as error:
        parts = list(model._flatten_layers(include_self=False))
        unsaved = next(filter(_has_no_config, reversed(parts)), model)  # the innermost
        raise DlrunError(
            f"{unsaved.name}, a {type(unsaved).__name__}, has no get_config(),"
            " which Keras needs to save it as a .keras file",
            hint="leave this format out: evaluate and predict work without it",
            exit_code=1,
        ) from error


def _has_no_config(layer: keras.layers.Layer) -> bool:
    try:
        layer.get_config()
    except NotImplementedError:
        return True
    return False


@contextmanager
def _without_compilation(model: keras.Model) -> Iterator[None]:
    """Hide the losses and the optimizer of a model, and of the models that it consists of.

    Only dlrun can load the losses, and the optimizer's slots would take two thirds of the file with
    Adam.
    """
    compiled = [layer for layer in model._flatten_layers() if getattr(layer, "compiled", False)]
    optimizers = [layer.optimizer for layer in compiled]
    for layer in compiled:
        layer.compiled, layer.optimizer = False, None
    try:
        yield
    finally:
        for layer, optimizer in zip(compiled, optimizers, strict=True):
            layer.compiled, layer.optimizer = True, optimizer

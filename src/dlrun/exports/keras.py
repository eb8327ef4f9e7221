"""A standard ``.keras`` file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.errors import DlrunError
from dlrun.system.files import replacing
from dlrun.system.imports import without_packages

if TYPE_CHECKING:  # Keras is on its backend when a model is at hand
    import keras

    from dlrun.data.input_spec import InputSpec


def export_keras(
    model: keras.Model, *, spec: InputSpec, directory: Path, filename: str = "model.keras"
) -> Path:
    """Write the model for ``keras.saving.load_model``, whole or not at all.

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
    try:
        with replacing(path) as partial, without_packages(["tensorflow"]), _uncompiled(model):
            model.save(partial)
    except NotImplementedError as error:
        raise DlrunError(
            f"{filename} can't be written: {model.name} has no get_config(),"
            " which Keras saves a model by",
            hint="the run is whole without it: evaluate and predict need none",
            exit_code=1,
        ) from error
    return path


@contextmanager
def _uncompiled(model: keras.Model) -> Iterator[None]:
    """Hide what a model was compiled with.

    In a file it would be losses that only dlrun can load, and the optimizer's slots: with Adam two
    thirds of the file.
    """
    before = model.compiled, getattr(model, "optimizer", None)
    model.compiled, model.optimizer = False, None
    try:
        yield
    finally:
        model.compiled, model.optimizer = before

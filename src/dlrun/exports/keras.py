"""Write a standard ``.keras`` file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.system.files import replacing
from dlrun.system.imports import without_packages

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.data.input_spec import InputSpec


def export_keras(model: Any, config: Config, spec: InputSpec, path: Path) -> None:
    """Write a standard ``.keras`` file atomically; the model's outputs are predictions."""
    from dlrun.assembly.model import with_activation

    try:
        with replacing(path) as partial, without_packages(["tensorflow"]), _uncompiled(model):
            with_activation(model, config, spec).save(partial)
    except NotImplementedError as error:
        raise DlrunError(
            f"{path.name} can't be written: {config.model['_target_']} has no get_config(),"
            " which Keras needs to save it",
            hint="evaluate and predict work without it",
            exit_code=1,
        ) from error


@contextmanager
def _uncompiled(model: Any) -> Iterator[None]:
    """Hide a model's losses and optimizer.

    Only dlrun can load the losses, and the optimizer's slots would take two thirds of the file with
    Adam.
    """
    before = model.compiled, getattr(model, "optimizer", None)
    model.compiled, model.optimizer = False, None
    try:
        yield
    finally:
        model.compiled, model.optimizer = before

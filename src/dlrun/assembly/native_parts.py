"""Networks of another framework within a user's Keras model: what runs, and what to do instead.

Import it after the backend has started.
"""

import traceback
from pathlib import Path

import keras

from dlrun.errors import DlrunError, first_line

MODULE = "dlrun.models.torch_module.TorchModule(module)"
WHOLE = "model=torch_module takes a whole network"


def check_native_parts(model: keras.Model, target: str) -> None:
    """Refuse a torch module in Keras' own wrapper, into which Keras puts each module.

    Its description is a pickle, and its checkpoints lack what is not a parameter, such as the
    statistics of a batch normalization.

    Args:
        model: As the target returned it.
        target: What made it.

    Raises:
        DlrunError: Names the layer to take.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.TorchModuleWrapper):
            kind = type(layer.module).__name__
            raise DlrunError(
                f"model: {target} holds a torch module, {kind}, whose buffers Keras would not save",
                hint=f"put it into {MODULE}; {WHOLE}",
            )


def native_error(error: BaseException | None, target: str) -> DlrunError | None:
    """What to do about an error that a network of another framework has raised; None for another.

    Args:
        error: What the target raised.
        target: The target.
    """
    if error is None:
        return None
    used = keras.backend.backend()
    files = [Path(frame.filename).as_posix() for frame in traceback.extract_tb(error.__traceback__)]
    wrapped = any(file.endswith("keras/src/utils/torch_utils.py") for file in files)
    wrapped = wrapped or "TorchModuleWrapper" in str(error)
    if wrapped or (used != "torch" and any("/torch/nn/modules/" in file for file in files)):
        if used == "torch":
            message = f"model: {target}: Keras' TorchModuleWrapper fails: {first_line(error)}"
            return DlrunError(message, hint=f"put the module into {MODULE}; {WHOLE}")
        message = f"model: {target} holds a torch module, which computes on backend=torch alone"
        hint = f"backend=torch, and the module in {MODULE}; {WHOLE}"
        return DlrunError(f"{message}, not on {used}", hint=hint)
    if used not in ("jax", "tensorflow") and files[-1].endswith("keras/src/utils/jax_layer.py"):
        message = f"model: {target} holds a JaxLayer or FlaxLayer, which computes on backend=jax"
        return DlrunError(f"{message}, not on {used}", hint="backend=jax")
    return None

"""The components that any config may name, whoever wrote it: dlrun's and Keras' own."""

import re
from pathlib import Path

from dlrun.config.groups import component_modules

# Keras' other callbacks write wherever they are told to, or open connections.
CALLBACKS = (
    "EarlyStopping",
    "LearningRateScheduler",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TerminateOnNaN",
)
# These layers read files, or run code that they are given.
NO_LAYERS = (
    "FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer",
    "TextVectorization", "TorchModuleWrapper",
)  # fmt: skip


def is_shipped(part: str, module: str, name: str) -> bool:
    """Whether a target is a component of dlrun's or Keras', in its own part of the config."""
    modules = component_modules(part)
    if name.startswith("_"):
        return False
    if any(module.startswith(f"{own}.") for own in modules if own.startswith("dlrun.")):
        # What the module defines, and not what it has imported.
        file = source(module)
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return re.search(rf"^(def|class) {name}\b", text, re.MULTILINE) is not None
    if module not in modules:
        return False
    if module == "keras.callbacks":
        return name in CALLBACKS
    # optax has functions, the others have classes; among their functions are those that read.
    return name[0].islower() if module == "optax" else name[0].isupper() and name not in NO_LAYERS


def source(module: str) -> Path:
    """Where a module of dlrun's has its source, if it is there."""
    path = "/".join(module.split(".")[1:])
    return Path(__file__).parents[1] / f"{path}.py"

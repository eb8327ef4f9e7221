"""The components that every config may name, even a copied one: dlrun's and Keras'."""

import re
from pathlib import Path

from dlrun.config.groups import component_modules
from dlrun.system.files import is_file

# Keras' other callbacks write to any path, or open connections.
SAFE_CALLBACKS = (
    "EarlyStopping",
    "LearningRateScheduler",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TerminateOnNaN",
)
# These layers read files, or run code passed to them.
UNSAFE_LAYERS = (
    "FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer",
    "TextVectorization", "TorchModuleWrapper",
)  # fmt: skip


def is_shipped(part: str, module: str, name: str) -> bool:
    """Whether a target is a component of dlrun or Keras, in its own part of the config."""
    modules = component_modules(part)
    if name.startswith("_"):
        return False
    if any(module.startswith(f"{room}.") for room in modules if room.startswith("dlrun.")):
        # Only what the module itself defines, not what it imports.
        file = source_path(module)
        text = file.read_text(encoding="utf-8") if is_file(file) else ""
        return re.search(rf"^(def|class) {name}\b", text, re.MULTILINE) is not None
    if module not in modules:
        return False
    if module == "keras.callbacks":
        return name in SAFE_CALLBACKS
    # optax' components are functions; elsewhere functions may read files, so only classes count.
    return (
        name[0].islower() if module == "optax" else name[0].isupper() and name not in UNSAFE_LAYERS
    )


def source_path(module: str) -> Path:
    """The source file of a module of dlrun, which may not exist."""
    path = "/".join(module.split(".")[1:])
    return Path(__file__).parents[1] / f"{path}.py"

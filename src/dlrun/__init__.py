"""Run deep-learning experiments from config files, on any Keras 3 backend."""

from pathlib import Path

__version__ = "0.1.0"

# A wheel contains the configs as dlrun/configs. In a checkout they are at the repository's root:
# add it to the package's path, so that pkg://dlrun.configs names the live files.
if not (Path(__file__).parent / "configs").is_dir():
    __path__.append(str(Path(__file__).parents[2]))

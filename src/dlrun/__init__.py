"""Run deep-learning experiments from config files, on any Keras 3 backend.

    import dlrun

    run = dlrun.train("backend=jax", "model=mnist_mlp", "epochs=3")
    run.history, run.test, run.predict(digits), run.model()

Nothing is imported before it is used.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.api.python import Runs as Runs
    from dlrun.api.python import compose as compose
    from dlrun.api.python import load_run as load_run
    from dlrun.api.python import runs as runs
    from dlrun.api.python import train as train
    from dlrun.api.run import Run as Run
    from dlrun.errors import DlrunError as DlrunError
    from dlrun.sweeps.python import SweepResult as SweepResult
    from dlrun.sweeps.python import sweep as sweep

__version__ = "0.1.0"

# Where each name is defined. runs is the package dlrun.runs, which can be called.
_API = {
    "DlrunError": "dlrun.errors",
    "Run": "dlrun.api.run",
    "Runs": "dlrun.api.python",
    "SweepResult": "dlrun.sweeps.python",
    "compose": "dlrun.api.python",
    "load_run": "dlrun.api.python",
    "sweep": "dlrun.sweeps.python",
    "train": "dlrun.api.python",
}
__all__ = [*_API, "runs"]  # noqa: PLE0604 - names of __getattr__

# A wheel contains the configs as dlrun/configs. In a checkout they are at the repository's root:
# add it to the package's path, so that pkg://dlrun.configs names the live files.
if not (Path(__file__).parent / "configs").is_dir():
    __path__.append(str(Path(__file__).parents[2]))


def __getattr__(name: str) -> Any:
    if name == "runs":
        return importlib.import_module("dlrun.runs")
    if name not in _API:
        raise AttributeError(f"module 'dlrun' has no attribute '{name}'")
    return getattr(importlib.import_module(_API[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Run directories: names, records, status and queries. Standard library only."""

import importlib
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that can be called: ``dlrun.runs`` is also a function of the Python API."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """As :func:`dlrun.api.python.runs`."""
        return importlib.import_module("dlrun.api.python").runs(*arguments, **options)


sys.modules[__name__].__class__ = _Callable

"""Preprocessing steps: fitted on the training split, saved with a run, applied to new inputs.

Each module has one class, a :class:`Step` named like the module in CamelCase. A data source names
the steps to fit in its :class:`dlrun.data.dataset.Dataset`. Training fits and saves them;
evaluation and ``predict`` apply the saved ones, never fitted again. A step treats each sample by
itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError

MAX_STEPS = 100


class Step(Protocol):
    """A fitted step."""

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays that it makes others of, such as the columns of a table.

        Empty for a step that keeps the arrays and their names.
        """

    def apply(self, inputs: Arrays) -> Arrays:
        """The inputs after this step, ``(samples, ...)`` in and out, or mappings of such.

        Raises:
            ValueError: If they are not of the form that the step was fitted to.
        """

    def state(self) -> dict[str, Any]:
        """What was fitted, as JSON holds it."""

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Step:
        """The step again, from an untrusted source.

        Raises:
            ValueError: If it is not what :meth:`state` returns.
        """


# From the inputs of the training split to a step; of a class ``fit``.
Fit: TypeAlias = "Callable[[Arrays], Step]"


def to_entry(step: Step) -> dict[str, Any]:
    """A step as JSON holds it, for :func:`from_entry`.

    Raises:
        DlrunError: If the step is not one of this package: no run could be loaded with it.
    """
    name = type(step).__module__.removeprefix(f"{__name__}.")
    if name not in _modules():
        raise DlrunError(
            f"data: {type(step).__name__} can't be saved with a run: no step of {__name__}",
            hint="add it there, or save inputs that it has been applied to",
        )
    return {"step": name, "state": step.state()}


def from_entry(entry: Any) -> Step:
    """A step from an untrusted source; nothing but this package's own classes is called.

    Raises:
        ValueError: If there is no such step, or its state is damaged.
    """
    if not isinstance(entry, dict) or set(entry) != {"step", "state"}:
        raise ValueError(f"a preprocessing step is {entry!a:.80}, expected step and state")
    name, state = entry["step"], entry["state"]
    if name not in _modules():
        raise ValueError(f"there is no preprocessing step {name!a:.80} in this dlrun")
    if not isinstance(state, dict):
        raise ValueError(f"the state of {name} is not a mapping")
    module = importlib.import_module(f"{__name__}.{name}")
    step: Step = getattr(module, "".join(map(str.title, name.split("_")))).from_state(state)
    return step


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__)]

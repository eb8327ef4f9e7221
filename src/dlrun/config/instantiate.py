"""Turn a mapping with a ``_target_`` into the object that it names."""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate

from dlrun.config import trust
from dlrun.errors import DlrunError, first_line


def instantiate(key: str, spec: Mapping[str, Any], **given: Any) -> Any:
    """Call a component's target with its config and what the runner gives it.

    Args:
        key: Where the component stands in the config, for errors.
        spec: Its ``_target_`` and keyword arguments.
        **given: Arguments of the runner's own; they reach the target as they are.

    Raises:
        DlrunError: If the target can't be found, or raises.
    """
    component = partial(key, spec)
    with component_errors(key, spec["_target_"]):
        return component(**given)


@contextmanager
def component_errors(key: str, target: str) -> Iterator[None]:
    """Turn what a component raises into the one error that users see.

    Raises:
        DlrunError: Naming the component, what it raised, and where.
    """
    try:
        yield
    except DlrunError:
        raise
    except Exception as error:
        # The place is for someone who is writing this very component.
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise DlrunError(
            f"{key}: {target} raised {type(error).__name__}: {first_line(error)}"
            f" ({place.filename}, line {place.lineno})"
        ) from error


def fill(spec: Any, **values: str) -> Any:
    """Put ``values`` in place of ``{name}`` in every text of a config, as for ``{run_dir}``."""
    if isinstance(spec, Mapping):
        return {key: fill(value, **values) for key, value in spec.items()}
    if isinstance(spec, list):
        return [fill(value, **values) for value in spec]
    if isinstance(spec, str):
        for name, value in values.items():
            spec = spec.replace(f"{{{name}}}", value)
    return spec


def partial(key: str, spec: Mapping[str, Any]) -> Callable[..., Any]:
    """A component's target with its config bound, to be called later.

    Raises:
        DlrunError: If the target can't be found, or no check has let it pass.
    """
    if trust.require(key, spec):
        # A console script has no working directory on its path, and the user's own modules are
        # there. Last, so that a file of theirs called keras.py hides nothing.
        if (cwd := str(Path.cwd())) not in sys.path:
            sys.path.append(cwd)
        trust.require_origin(key, spec)
    try:
        bound = hydra_instantiate({**spec, "_partial_": True}, _convert_="all")
    except HydraException as error:
        cause = _root(error)
        if isinstance(cause, DlrunError):
            raise cause from error
        if isinstance(error.__cause__, ImportError):  # nothing was called yet
            why = first_line(cause)
            if not isinstance(cause, ImportError):
                why = f"{type(cause).__name__}: {why}"
            raise DlrunError(f"{key}: {spec['_target_']} can't be imported: {why}") from error
        raise DlrunError(f"{key}: {first_line(cause)}") from error
    assert callable(bound)
    return bound  # type: ignore[no-any-return]


def _root(error: BaseException) -> BaseException:
    """The error that the others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error

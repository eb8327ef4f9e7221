"""Turn a mapping with a ``_target_`` into the object that it names."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate

from dlrun.errors import DlrunError


def instantiate(key: str, spec: Mapping[str, Any], **given: Any) -> Any:
    """Call a component's target with its config and what the runner gives it.

    Args:
        key: Where the component stands in the config, for errors.
        spec: Its ``_target_`` and keyword arguments.
        **given: Arguments of the runner's own; they reach the target as they are.

    Raises:
        DlrunError: If the target can't be found or refuses its arguments.
    """
    component = partial(key, spec)
    try:
        return component(**given)
    except (TypeError, ValueError) as error:
        told = str(error).strip().splitlines()[0]
        raise DlrunError(f"{key}: {spec['_target_']} refused its arguments: {told}") from error


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
        DlrunError: If the target can't be found.
    """
    # A console script has no working directory on its path, and the user's own modules are there.
    # Last, so that a file of theirs called keras.py hides nothing.
    if (cwd := str(Path.cwd())) not in sys.path:
        sys.path.append(cwd)
    try:
        bound = hydra_instantiate({**spec, "_partial_": True}, _convert_="all")
    except HydraException as error:
        # A target that raised inside is told by its own words, a missing one by Hydra's.
        cause = error.__cause__ or error
        if isinstance(cause, DlrunError):
            raise cause from error
        told = str(cause).strip().splitlines()[0]
        raise DlrunError(f"{key}: {told}") from error
    assert callable(bound)
    return bound  # type: ignore[no-any-return]

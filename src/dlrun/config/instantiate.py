"""Instantiate the target of a mapping with a ``_target_``."""

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate

from dlrun.config import trust
from dlrun.errors import DlrunError, describe, first_line
from dlrun.system.guest import is_guest
from dlrun.system.own_modules import own_frames, remember_own_modules

HYDRA = Path(hydra.__file__).parent


def instantiate(key: str, spec: Mapping[str, Any], **given: Any) -> Any:
    """Call a component's target with the arguments of its config and of the runner.

    Args:
        key: The component's key in the config, for errors.
        spec: Its ``_target_`` and keyword arguments.
        **given: The runner's arguments, passed unchanged.

    Raises:
        DlrunError: If the target can't be found, or raises.
    """
    component = partial(key, spec)
    with component_errors(key, spec["_target_"]):
        return component(**given)


def takes_argument(key: str, spec: Mapping[str, Any], name: str) -> bool:
    """Whether a component's target has a parameter of this name.

    Raises:
        DlrunError: If the target can't be found, or is not trusted.
    """
    try:
        return name in inspect.signature(partial(key, spec)).parameters
    except (TypeError, ValueError):  # a builtin has no signature
        return False


def targets(spec: Any) -> Iterator[str]:
    """Every target of a part of the config, at any depth."""
    if isinstance(spec, Mapping):
        if "_target_" in spec:
            yield str(spec["_target_"])
        for value in spec.values():
            yield from targets(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from targets(value)


@contextmanager
def component_errors(key: str, target: str) -> Iterator[None]:
    """Convert an exception of a component into a one-line error.

    Raises:
        DlrunError: Names the component, its exception, and the line that raised it.
    """
    try:
        yield
    except DlrunError:
        raise
    except (Exception, SystemExit) as error:
        # The line helps the author of the component: their own one, if there is one.
        frame = (own_frames(error) or traceback.extract_tb(error.__traceback__))[-1]
        # The call itself, of a target that refuses its arguments.
        is_call = Path(frame.filename).is_relative_to(HYDRA)
        where = "" if is_call else f" ({frame.filename}, line {frame.lineno})"
        raise DlrunError(f"{key}: {target} raised {describe(error)}{where}") from error


def fill_placeholders(spec: Any, **values: str) -> Any:
    """Replace ``{name}`` by its value, such as ``{run_dir}``, in every text of a config."""
    if isinstance(spec, Mapping):
        return {key: fill_placeholders(value, **values) for key, value in spec.items()}
    if isinstance(spec, list):
        return [fill_placeholders(value, **values) for value in spec]
    if isinstance(spec, str):
        for name, value in values.items():
            spec = spec.replace(f"{{{name}}}", value)
    return spec


def partial(key: str, spec: Mapping[str, Any]) -> Callable[..., Any]:
    """Bind a component's target to the arguments of its config, to be called later.

    Raises:
        DlrunError: If the target can't be found, or is not trusted, or one of dlrun's gets null for
            what has to be something.
    """
    if (module_dirs := trust.require(key, spec)) is not None:
        # A console script does not have the working directory on its path. Appended last, so that
        # a file called keras.py shadows nothing.
        sys.path += [path for path in map(str, module_dirs) if path not in sys.path]
        trust.require_origin(key, spec)
    try:
        bound = hydra_instantiate({**spec, "_partial_": True}, _convert_="all")
    except SystemExit as error:  # a module that ends the process while it is imported
        raise DlrunError(
            f"{key}: {_own_target(spec)} can't be imported: its module exits",
            hint="put what runs as a script below: if __name__ == '__main__'",
        ) from error
    except HydraException as error:
        cause = _root(error)
        if isinstance(cause, DlrunError):
            raise cause from error
        if isinstance(error.__cause__, ImportError):  # nothing was called yet
            reason = first_line(cause)
            if not isinstance(cause, ImportError):
                reason = f"{type(cause).__name__}: {reason}"
            raise DlrunError(f"{key}: {_own_target(spec)} can't be imported: {reason}") from error
        raise DlrunError(f"{key}: {first_line(cause)}") from error
    if module_dirs and is_guest():
        remember_own_modules(module_dirs)
    assert callable(bound)
    for argument in _null_arguments(spec, bound):
        usual = argument.default if isinstance(argument.default, int | float | str) else "VALUE"
        usual = str(usual).lower() if isinstance(usual, bool) else usual
        name = f"{key}.{argument.name}"
        raise DlrunError(f"{name}: can't be null", hint=f"{name}={usual}")
    return bound  # type: ignore[no-any-return]


def _null_arguments(
    spec: Mapping[str, Any], bound: Callable[..., Any]
) -> Iterator[inspect.Parameter]:
    """The arguments of a component of dlrun's that are null, and have to be something."""
    if not str(spec["_target_"]).startswith("dlrun.") or None not in spec.values():
        return
    for name, parameter in inspect.signature(getattr(bound, "func", bound)).parameters.items():
        if name in spec and spec[name] is None:
            kinds = str(parameter.annotation)
            if parameter.annotation is not parameter.empty and not re.search(r"None|Any", kinds):
                yield parameter


def _own_target(spec: Mapping[str, Any]) -> str:
    """A target in a user's own module, if one is named, as dlrun's are there."""
    return next((t for t in targets(spec) if not t.startswith("dlrun.")), str(spec["_target_"]))


def _root(error: BaseException) -> BaseException:
    """The original error of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error

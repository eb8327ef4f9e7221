"""Create Optuna's samplers and pruners from their names and arguments, as typed."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna

from dlrun.errors import DlrunError, did_you_mean, first_line


def short_name(typed: str, kind: str) -> str:
    """The short name of a sampler or pruner: ``tpe`` for ``optuna.samplers.TPESampler,seed=1``."""
    dotted = typed.partition(",")[0].strip().removeprefix(f"optuna.{kind}s.")
    short = dotted.removesuffix(kind.title()).lower().replace("_", "").replace("-", "")
    return "nop" if short == "none" else short


def create(
    kind: str,
    typed: str,
    replaced: Mapping[str, type],
    *,
    given: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
    converters: Mapping[str, Callable[[str], Any]] | None = None,
) -> Any:
    """Create a sampler or pruner.

    Args:
        kind: ``sampler`` or ``pruner``.
        typed: Its name, with arguments.
        replaced: Classes in place of Optuna's, by short name.
        given: Arguments that can't be typed.
        defaults: Arguments that can.
        converters: What makes an argument from its text; by default, JSON or the text.

    Raises:
        DlrunError: If the name or an argument is unknown.
    """
    option = f"--{kind} {typed}"
    module = getattr(optuna, f"{kind}s")
    suffix = kind.title()
    classes = {
        short_name(each, kind): getattr(module, each)
        for each in module.__all__
        if each.endswith(suffix) and not each.startswith(("Base", "Partial"))
    }
    classes |= replaced
    short = short_name(typed, kind)
    if short not in classes:
        names = ["none" if each == "nop" else each for each in sorted(classes)]
        raise DlrunError(
            f"{option}: expected one of {', '.join(names)}", hint=did_you_mean(short, names)
        )
    accepted = set(inspect.signature(classes[short]).parameters) - set(given)
    arguments = dict(defaults or {})
    for argument in typed.split(",")[1:]:
        key, _, value = argument.strip().partition("=")
        if key not in accepted:
            names = sorted(accepted)
            takes = f"{key!r} is not one of {', '.join(names)}" if names else "takes no arguments"
            raise DlrunError(f"{option}: {takes}")
        arguments[key] = (converters or {}).get(key, _value)(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return classes[short](**arguments, **given)
    except (TypeError, ValueError) as error:
        raise DlrunError(f"{option}: {first_line(error)}") from error


def _value(typed: str) -> Any:
    try:
        return json.loads(typed)
    except ValueError:
        return typed

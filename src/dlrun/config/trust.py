"""Decide by its name whether a target may be instantiated, before anything is imported.

Hydra calls whatever a ``_target_`` names, except names on a block list. dlrun has an allow list:
its own components, Keras' components, and what the user has named in an option file, on the
command line, or with ``--trust``.
"""

import functools
import pkgutil
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from dlrun.config.approvals import Approval, approved_targets
from dlrun.config.components import is_shipped, source_path
from dlrun.config.groups import GROUPS, parts_with_components
from dlrun.config.options import config_dirs, module_dirs
from dlrun.config.project import Project
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.system.files import is_file

# Naming one target of a library does not trust the others.
LIBRARIES = (
    "dlrun", "flax", "jax", "joblib", "keras", "numpy", "optax", "pandas", "scipy", "sklearn",
    "tensorflow", "tf_keras", "torch", "torchvision", "yaml",
)  # fmt: skip
# These library functions read what may contain code: pickles, lambdas, models with their classes.
READERS = re.compile(
    r"(un)?(load|pickle|deserialize)s?(_\w+)?|read_pickle|(model_)?from_(config|json)|get_file"
)
# Never components: Python's standard library has open, exec and system.
NEVER_CALLED = sys.stdlib_module_names | {"__main__", "hydra", "omegaconf", "pip", "setuptools"}
# The key of data=function whose value is a target by itself.
FUNCTION = "data.function"
# Hydra's own keys, and the type of each value.
HYDRA_KEYS = {
    "_target_": object,
    "_args_": list,
    "_partial_": bool,
    "_convert_": str,
    "_recursive_": bool,
}


@dataclass(frozen=True)
class TrustedNames:
    """What the user has named; see :func:`trusted_names`.

    Args:
        trusted: Modules and targets after ``--trust``.
        typed: Targets on the command line.
        directory: The directory of the user's own options.
        module_dirs: Where the user's own modules are searched.
    """

    trusted: Sequence[str] = ()
    typed: Sequence[str] = ()
    directory: Path | None = None
    module_dirs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A part of a config that may not be instantiated.

    Args:
        key: Its key.
        problem: What is wrong, phrased to follow ``target``.
        target: The target it names.
        allow: The value of ``--trust`` that would allow it; None if nothing can.
    """

    key: str
    problem: str
    target: str = ""
    allow: str | None = None


def trusted_names(project: Project, typed: Iterable[tuple[str, Any]]) -> TrustedNames:
    """Collect what the user has named.

    Args:
        project: The user's own options, and what is trusted.
        typed: The keys and values of the overrides.

    Raises:
        DlrunError: If a module can't be trusted as a whole.
    """
    for module in project.trusted:
        if not all(part.isidentifier() for part in module.split(".")):
            raise DlrunError(f"--trust {_printable(module)}: expected the name of a module")
        top = module.partition(".")[0]
        if top in NEVER_CALLED or top == "dlrun" or module in LIBRARIES:
            raise DlrunError(
                f"--trust {module}: expected a module of your own, not one of a library",
                hint="name your module that uses it",
            )
    values = (
        {"_target_" if key == FUNCTION else key.rpartition(".")[2]: value} for key, value in typed
    )
    targets = [target for value in values for target in _targets(value) if isinstance(target, str)]
    user_dirs = config_dirs(project.config_dir)[:-1]
    directory = user_dirs[0] if user_dirs else None
    return TrustedNames(
        tuple(project.trusted), tuple(targets), directory, module_dirs(project.config_dir)
    )


def check(config: Config, names: TrustedNames) -> list[Refusal]:
    """Check every target of a config, at any depth, without importing anything.

    :func:`require` lets only the targets that pass be instantiated.
    """
    refusals: list[Refusal] = []
    for part, spec in asdict(config).items():
        for key, mapping in _mappings(part, spec):
            refusals += _suspicious_keys(key, mapping)
            target = mapping.get("_target_")
            if target is not None:  # wrong_arguments() reports a missing one
                place = FUNCTION if key == "data.call" else f"{key}._target_"
                refusals += _check_target(part, place, target, names)
    return refusals


def require(key: str, spec: Any) -> list[Path] | None:
    """Require that :func:`check` has approved the targets of a part that is to be instantiated.

    Returns:
        Where to search for the user's own modules; None if all targets ship with dlrun or Keras.

    Raises:
        DlrunError: If a target was not approved.
    """
    approved, targets = approved_targets(), list(_targets(spec))
    for target in targets:
        if not isinstance(target, str) or target not in approved:
            raise DlrunError(f"{key}: {_printable(target)} is not trusted")
    own = [approved[target] for target in targets if approved[target].package != ""]
    return list(dict.fromkeys(d for a in own for d in a.module_dirs)) if own else None


def require_origin(key: str, spec: Any) -> None:
    """Require that a trusted module's package defines its targets, instead of importing them.

    Raises:
        DlrunError: If another package defines one.
    """
    for target in _targets(spec):
        if not (package := approved_targets()[target].package):
            continue
        try:
            component = pkgutil.resolve_name(target)
        except (ImportError, AttributeError):
            continue  # reported when it is instantiated
        while isinstance(component, functools.partial):
            component = component.func
        origin = str(getattr(component, "__module__", None))
        if origin.partition(".")[0] != package:
            raise DlrunError(
                f"{key}: {target} is defined in {origin}, which is not trusted",
                hint="to allow it, name it as _target_ in an option of your own",
            )


def _check_target(part: str, key: str, target: Any, names: TrustedNames) -> Iterator[Refusal]:
    if _printable(target) != target or "." not in target:
        yield Refusal(key, "is not of the form module.name", repr(_printable(target)))
        return
    module, _, name = target.rpartition(".")
    top = target.partition(".")[0]
    if is_shipped(part, module, name):
        approved_targets()[target] = Approval("")
    elif top == "dlrun" and not any(
        is_shipped(other, module, name) for other in parts_with_components()
    ):
        missing = f"does not exist: no module named '{module}'"
        problem = "is not a component" if is_file(source_path(module)) else missing
        yield Refusal(key, problem, target)
    elif top in NEVER_CALLED or (top in LIBRARIES and READERS.fullmatch(name)):
        yield Refusal(key, "is never called from a config", target)
    else:
        targets = {*names.typed, *_option_targets(module, names.directory)}
        modules = {
            name.partition("${")[0].rpartition(".")[0] for name in targets - {*names.trusted}
        }
        in_trusted = any(target.startswith(f"{name}.") for name in names.trusted)
        if target in targets or target in names.trusted:
            approved_targets()[target] = Approval(None, names.module_dirs)
        elif top not in LIBRARIES and (in_trusted or module in modules):
            before = approved_targets().get(target)
            package = None if before and before.package is None else top
            approved_targets()[target] = Approval(package, names.module_dirs)
        elif top == "dlrun":
            yield Refusal(key, f"is not allowed in '{part}'", target)
        else:
            allow = target if top in LIBRARIES else module
            yield Refusal(key, "is not trusted", target, allow=allow)


def _option_targets(module: str, directory: Path | None) -> Iterator[str]:
    """The targets in those of the user's own options that mention a module."""
    if directory is None:
        return
    for group in GROUPS:
        for path in sorted((directory / group).rglob("*.yaml")):
            try:
                text = path.read_text(encoding="utf-8")
                spec = yaml.safe_load(text) if module in text else None
            except (OSError, ValueError, yaml.YAMLError):
                continue  # reported if it is chosen
            yield from (target for target in _targets(spec) if isinstance(target, str))
            if group == FUNCTION.partition(".")[0] and isinstance(spec, dict):
                yield from (name for name in [spec.get("function")] if isinstance(name, str))


def _suspicious_keys(key: str, mapping: dict[Any, Any]) -> Iterator[Refusal]:
    """Refuse keys and values that have no use in a benign config."""
    for name, value in mapping.items():
        place = f"{key}.{_printable(str(name))}"
        plain = unicodedata.normalize("NFKC", str(name)).strip()
        if name not in HYDRA_KEYS and re.fullmatch(r"_.*_", plain, re.DOTALL):
            yield Refusal(place, f"is not one of {', '.join(HYDRA_KEYS)}")
        elif not isinstance(value, HYDRA_KEYS.get(name, object)):
            yield Refusal(place, f"is not a {HYDRA_KEYS[name].__name__}")
        # Hydra would resolve an escaped interpolation later, perhaps into a target.
        if any("${" in text for text in _texts(value)):
            yield Refusal(place, f"is an unresolved interpolation, {ascii(value)[:80]}")
    if "class_name" in mapping and not mapping.keys().isdisjoint({"config", "module"}):
        yield Refusal(key, "is a serialized Keras object: name its class as _target_")


def _mappings(key: str, node: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    if isinstance(node, dict):
        yield key, node
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _mappings(f"{key}.{name}", value)


def _texts(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else ():
        yield from _texts(item)
    if isinstance(value, str):
        yield value


def _targets(node: Any) -> Iterator[Any]:
    for _, mapping in _mappings("", node):
        if "_target_" in mapping:
            yield mapping["_target_"]


def _printable(target: Any) -> str:
    """A target for a message, escaped and cut unless it is a dotted name."""
    parts = str(target).split(".")
    is_dotted_name = all(part.isidentifier() and not part.startswith("__") for part in parts)
    return str(target) if is_dotted_name else ascii(target)[:80]

"""What may be instantiated: judged by its name, before anything is imported.

Hydra calls whatever a ``_target_`` names, but for names that it knows to do harm. Here it is the
other way about: nothing is called but what ships with dlrun, Keras' own components, and what the
user has named: in an option of his own, on his command line, or with ``--trust``.
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

from dlrun.config.components import is_shipped, source
from dlrun.config.groups import GROUPS, parts_with_components
from dlrun.config.options import config_dirs
from dlrun.config.schema import Config
from dlrun.errors import DlrunError

# Nobody's own: a user who names one thing of theirs has said nothing of the next.
LIBRARIES = (
    "dlrun", "flax", "jax", "joblib", "keras", "numpy", "optax", "pandas", "scipy", "sklearn",
    "tensorflow", "tf_keras", "torch", "torchvision", "yaml",
)  # fmt: skip
# What these functions of a library read may hold code: pickles, lambdas, models with their classes.
READERS = re.compile(
    r"(un)?(load|pickle|deserialize)s?(_\w+)?|read_pickle|(model_)?from_(config|json)|get_file"
)
# Python's own library is no component: open, exec and system are part of it.
TOOLS = sys.stdlib_module_names | {"__main__", "hydra", "omegaconf", "pip", "setuptools"}
# Of Hydra's other keys, what each may hold.
HYDRAS = {
    "_target_": object,
    "_args_": list,
    "_partial_": bool,
    "_convert_": str,
    "_recursive_": bool,
}


@dataclass(frozen=True)
class Named:
    """What the user has named himself; see :func:`named`.

    Args:
        trusted: Modules and targets.
        typed: Targets on the command line.
        directory: Of his own options.
    """

    trusted: Sequence[str] = ()
    typed: Sequence[str] = ()
    directory: Path | None = None


@dataclass(frozen=True)
class Refusal:
    """A part of a config that may not be instantiated.

    Args:
        key: Where it stands.
        problem: What is wrong with it, to follow ``target``.
        target: What it names.
        allow: What ``--trust`` would let it pass; None where nothing would.
    """

    key: str
    problem: str
    target: str = ""
    allow: str | None = None


# What check() has let pass, each with the package that it must turn out to be of: empty where it
# ships, None where the user has named this very target.
_passed: dict[str, str | None] = {}


def named(
    trusted: Sequence[str], typed: Iterable[tuple[str, Any]], config_dir: Path | None
) -> Named:
    """Collect what the user names.

    Args:
        trusted: As typed after ``--trust``.
        typed: His overrides, each a key and a value.
        config_dir: His own options; by default ``./configs``.

    Raises:
        DlrunError: If a module is none that can be trusted as a whole.
    """
    for module in trusted:
        if not all(part.isidentifier() for part in module.split(".")):
            raise DlrunError(f"--trust {_shown(module)}: expected the name of a module")
        top = module.partition(".")[0]
        if top in TOOLS or top == "dlrun" or module in LIBRARIES:
            raise DlrunError(
                f"--trust {module}: it can do anything, and is no module of yours",
                hint="name the module of your own that uses it",
            )
    values = ({key.rpartition(".")[2]: value} for key, value in typed)
    targets = [target for value in values for target in _targets(value) if isinstance(target, str)]
    own = config_dirs(config_dir)[:-1]
    return Named(tuple(trusted), tuple(targets), own[0] if own else None)


def check(config: Config, named: Named) -> list[Refusal]:
    """Judge every target of a config, however deep it stands; nothing is imported.

    :func:`require` holds instantiation to what this has let pass.
    """
    refusals: list[Refusal] = []
    for part, spec in asdict(config).items():
        for key, mapping in _mappings(part, spec):
            refusals += _suspicious_keys(key, mapping)
            target = mapping.get("_target_")
            if target is not None:  # a part that needs one is told so elsewhere
                refusals += _check_target(part, f"{key}._target_", target, named)
    return refusals


def require(key: str, spec: Any) -> bool:
    """Hold a part that is about to be instantiated to what :func:`check` has let pass.

    Returns:
        Whether there is a target in it that does not ship.

    Raises:
        DlrunError: If a target has not been let pass.
    """
    targets = list(_targets(spec))
    for target in targets:
        if not isinstance(target, str) or target not in _passed:
            raise DlrunError(f"{key}: {_shown(target)} is not trusted")
    return any(_passed[target] != "" for target in targets)


def require_origin(key: str, spec: Any) -> None:
    """Hold the targets of a trusted module to what is its own, and not what it has imported.

    Raises:
        DlrunError: If one is another package's.
    """
    for target in _targets(spec):
        if not (package := _passed[target]):
            continue
        try:
            found = pkgutil.resolve_name(target)
        except (ImportError, AttributeError):
            continue  # told when it is instantiated
        while isinstance(found, functools.partial):
            found = found.func
        origin = str(getattr(found, "__module__", None))
        if origin.partition(".")[0] != package:
            raise DlrunError(
                f"{key}: {target} is not {package}'s own but {origin}'s, which is not trusted",
                hint="if it is meant, name it as _target_ in an option of your own",
            )


def _check_target(part: str, key: str, target: Any, named: Named) -> Iterator[Refusal]:
    if _shown(target) != target or "." not in target:
        yield Refusal(key, "is not of the form module.name", repr(_shown(target)))
        return
    module, _, name = target.rpartition(".")
    top = target.partition(".")[0]
    if is_shipped(part, module, name):
        _passed[target] = ""
    elif top == "dlrun" and not any(
        is_shipped(other, module, name) for other in parts_with_components()
    ):
        missing = f"is not there: no module named '{module}'"
        yield Refusal(key, "is no component" if source(module).is_file() else missing, target)
    elif top in TOOLS or (top in LIBRARIES and READERS.fullmatch(name)):
        yield Refusal(key, "is never called from a config", target)
    else:
        own = {*named.trusted, *named.typed, *_in_options(module, named.directory)}
        modules = {one.partition("${")[0].rpartition(".")[0] for one in own - {*named.trusted}}
        below = any(target.startswith(f"{one}.") for one in named.trusted)
        if target in own:
            _passed[target] = None
        elif top not in LIBRARIES and (below or module in modules):
            _passed.setdefault(target, top)
        elif top == "dlrun":
            yield Refusal(key, f"has no place in '{part}'", target)
        else:
            allow = target if top in LIBRARIES else module
            yield Refusal(key, "is not trusted", target, allow=allow)


def _in_options(module: str, directory: Path | None) -> Iterator[str]:
    """The targets that the user's own options name, of those files that speak of a module."""
    if directory is None:
        return
    for group in GROUPS:
        for path in sorted((directory / group).rglob("*.yaml")):
            try:
                text = path.read_text(encoding="utf-8")
                spec = yaml.safe_load(text) if module in text else None
            except (OSError, ValueError, yaml.YAMLError):
                continue  # told where it is chosen
            yield from (target for target in _targets(spec) if isinstance(target, str))


def _suspicious_keys(key: str, mapping: dict[Any, Any]) -> Iterator[Refusal]:
    """What nobody writes who means no harm."""
    for name, value in mapping.items():
        place = f"{key}.{_shown(str(name))}"
        plain = unicodedata.normalize("NFKC", str(name)).strip()
        if name not in HYDRAS and re.fullmatch(r"_.*_", plain, re.DOTALL):
            yield Refusal(place, f"is none of {', '.join(HYDRAS)}")
        elif not isinstance(value, HYDRAS.get(name, object)):
            yield Refusal(place, f"is no {HYDRAS[name].__name__}")
        # What was escaped would be resolved after this, into a target perhaps.
        if any("${" in text for text in _texts(value)):
            yield Refusal(place, f"is an interpolation that is left open, {ascii(value)[:80]}")
    if "class_name" in mapping and not mapping.keys().isdisjoint({"config", "module"}):
        yield Refusal(key, "is a serialised Keras object: name its class by _target_")


def _mappings(key: str, node: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    if isinstance(node, dict):
        yield key, node
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _mappings(f"{key}.{name}", value)


def _texts(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else ():
        yield from _texts(one)
    if isinstance(value, str):
        yield value


def _targets(node: Any) -> Iterator[Any]:
    for _, mapping in _mappings("", node):
        if "_target_" in mapping:
            yield mapping["_target_"]


def _shown(target: Any) -> str:
    """A target as it may be printed: what is no dotted name may hold anything."""
    parts = str(target).split(".")
    plain = all(part.isidentifier() and not part.startswith("__") for part in parts)
    return str(target) if plain else ascii(target)[:80]

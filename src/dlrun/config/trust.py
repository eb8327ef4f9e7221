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

from dlrun.config.options import GROUPS, config_dirs
from dlrun.config.schema import Config
from dlrun.errors import DlrunError

# The modules whose components may stand in a part of the config, whoever wrote it.
SHIPPED = {
    "data": ("dlrun.data",),
    "task": ("dlrun.losses", "dlrun.metrics", "keras.losses", "keras.metrics"),
    "model": (
        *("dlrun.models", "keras.layers", "keras.initializers", "keras.regularizers"),
        "keras.constraints",
    ),
    "optimizer": ("keras.optimizers", "keras.optimizers.schedules", "torch.optim", "optax"),
    "loop": ("dlrun.loops", "dlrun.losses", "keras.losses"),
    "callbacks": ("dlrun.callbacks", "keras.callbacks", "keras.optimizers.schedules"),
}
# Keras' other callbacks write wherever they are told to, or open connections.
CALLBACKS = (
    *("EarlyStopping", "LearningRateScheduler", "ReduceLROnPlateau", "SwapEMAWeights"),
    "TerminateOnNaN",
)
# These layers read files, or run code that they are given.
NO_LAYERS = (
    *("FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer"),
    *("TextVectorization", "TorchModuleWrapper"),
)
# Nobody's own: a user who names one thing of theirs has said nothing of the next.
LIBRARIES = (
    *("dlrun", "flax", "jax", "joblib", "keras", "numpy", "optax", "pandas", "scipy", "sklearn"),
    *("tensorflow", "tf_keras", "torch", "torchvision", "yaml"),
)
# What these functions of a library read may hold code: pickles, lambdas, models with their classes.
READERS = re.compile(
    r"(un)?(load|pickle|deserialize)s?(_\w+)?|read_pickle|(model_)?from_(config|json)|get_file"
)
# Python's own library is no component: open, exec and system are part of it.
TOOLS = sys.stdlib_module_names | {"__main__", "hydra", "omegaconf", "pip", "setuptools"}
HYDRAS_KEYS = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_")


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
            refusals += _odd_keys(key, mapping)
            target = mapping.get("_target_")
            if target is not None:  # a part that needs one is told so elsewhere
                refusals += _judge(part, f"{key}._target_", target, named)
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


def _judge(part: str, key: str, target: Any, named: Named) -> Iterator[Refusal]:
    if _shown(target) != target or "." not in target:
        yield Refusal(key, "is not of the form module.name", repr(_shown(target)))
        return
    module, _, name = target.rpartition(".")
    top = target.partition(".")[0]
    if _ships(part, module, name):
        _passed[target] = ""
    elif top == "dlrun" and not any(_ships(one, module, name) for one in SHIPPED):
        missing = f"is not there: no module named '{module}'"
        yield Refusal(key, "is no component" if _source(module).is_file() else missing, target)
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
        else:
            yield Refusal(
                key, "is not trusted", target, allow=target if top in LIBRARIES else module
            )


def _ships(part: str, module: str, name: str) -> bool:
    """Whether a target is a component of dlrun's or Keras', in its own part of the config."""
    rooms = SHIPPED.get(part, ())
    if any(module.startswith(f"{room}.") for room in rooms if room.startswith("dlrun.")):
        # What the module defines, and not what it has imported.
        source = _source(module)
        return source.is_file() and bool(
            re.search(rf"^(def|class) {name}\b", source.read_text(encoding="utf-8"), re.MULTILINE)
        )
    if module not in rooms:
        return False
    if module == "keras.callbacks":
        return name in CALLBACKS
    # optax has functions, the others have classes; among their functions are those that read.
    return name[0].islower() if module == "optax" else name[0].isupper() and name not in NO_LAYERS


def _source(module: str) -> Path:
    path = "/".join(module.split(".")[1:])
    return Path(__file__).parents[1] / f"{path}.py"


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


def _odd_keys(key: str, mapping: dict[Any, Any]) -> Iterator[Refusal]:
    for name in mapping:
        plain = unicodedata.normalize("NFKC", str(name)).strip()
        if name not in HYDRAS_KEYS and re.fullmatch(r"_.*_", plain, re.DOTALL):
            yield Refusal(f"{key}.{_shown(str(name))}", f"is none of {', '.join(HYDRAS_KEYS)}")
    if "class_name" in mapping and not mapping.keys().isdisjoint({"config", "module"}):
        yield Refusal(key, "is a serialised Keras object: name its class by _target_")


def _mappings(key: str, node: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    if isinstance(node, dict):
        yield key, node
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _mappings(f"{key}.{name}", value)


def _targets(node: Any) -> Iterator[Any]:
    for _, mapping in _mappings("", node):
        if "_target_" in mapping:
            yield mapping["_target_"]


def _shown(target: Any) -> str:
    """A target as it may be printed: what is no dotted name may hold anything."""
    parts = str(target).split(".")
    plain = all(part.isidentifier() and not part.startswith("__") for part in parts)
    return str(target) if plain else ascii(target)[:80]

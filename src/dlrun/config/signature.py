"""Check a component's arguments against its source, without importing it.

A component's module imports a framework, which would delay the report of a config error.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlrun import feeds
from dlrun.config.groups import GROUPS, Group
from dlrun.config.problem import Problem, Problems
from dlrun.config.schema import Config


def wrong_arguments(config: Config, module_dirs: Sequence[Path] = ()) -> Problems:
    """Yield each argument that a component does not take.

    Args:
        config: Complete and typed.
        module_dirs: Where the user's own modules are searched; by default the working directory.
    """
    for group, key, spec in _components(config):
        target = spec.get("_target_") if isinstance(spec, dict) else None
        if target is None and group.optional:
            continue
        if not isinstance(target, str):
            removes = f"can't be null: ~{key} removes it"
            how = f" with +{group.name}=NAME" if group.several else ""
            no_target = f"has no _target_: choose an option of this group{how}"
            is_nothing = spec is None or str(spec).lower() == "none"
            yield Problem(key, removes if is_nothing and group.several else no_target)
            continue
        try:
            arguments = _arguments(target, module_dirs)
        except LookupError as error:
            yield Problem(f"{key}._target_", str(error))
            continue
        if arguments is None:
            continue
        takes = tuple(sorted(arguments - group.given | group.kept))
        for name in spec:
            if name in takes or (name.startswith("_") and name.endswith("_")):
                continue
            message = f"{target} takes no '{name}'; it takes {', '.join(takes) or 'nothing'}"
            yield Problem(f"{key}.{name}", message, takes)


def feed_not_accepted(config: Config, module_dirs: Sequence[Path] = ()) -> Problems:
    """Yield a problem if a feed is chosen but the loop takes none; as :func:`wrong_arguments`."""
    if (feed := config.feed.get("_target_")) in feeds.GATHERED:
        return
    try:
        arguments = _arguments(str(config.loop.get("_target_")), module_dirs)
    except LookupError:  # reported as a mistake in the loop
        return
    if arguments is not None and "feed" not in arguments:
        loop = config.choices.get("loop")
        message = f"loop={loop} gathers its batches itself and takes only feed=auto or feed=numpy"
        yield Problem("feed", message if config.choices.get("feed") else f"{feed}: {message}")


def _components(config: Config) -> Iterator[tuple[Group, str, Any]]:
    """The group, key and config value of each component."""
    for name, group in GROUPS.items():
        if not group.names_components:
            continue
        value = getattr(config, name)
        if group.several:
            yield from ((group, f"{name}.{option}", spec) for option, spec in value.items())
        else:
            yield group, name, value


def _arguments(target: str, module_dirs: Sequence[Path]) -> frozenset[str] | None:
    """The names of a target's arguments; None if its source does not determine them.

    Raises:
        LookupError: If there is no such module, or the module does not define the name.
    """
    module, _, name = target.rpartition(".")
    if not module:
        raise LookupError(f"expected module.name, got {target!r}")
    source = _source(module, tuple(map(str, module_dirs or (Path.cwd(),))))
    # By its time too: in a notebook, a module is edited between two runs.
    if source is None:
        return None
    try:
        modified = source.stat().st_mtime_ns
    except OSError as error:
        raise LookupError(f"module '{module}' can't be read: {error.strerror}") from error
    return _read_arguments(module, source, modified, name)


@lru_cache
def _source(module: str, module_dirs: tuple[str, ...]) -> Path | None:
    """The source of a module, as a plain one may lie in these; None if it can't be told.

    Raises:
        LookupError: If there is no such module.
    """
    top = module.partition(".")[0]
    path = sys.path.copy()
    try:
        sys.path += module_dirs
        if importlib.util.find_spec(top) is None:
            raise LookupError(f"no module named '{top}'")
        # find_spec imports the parents of a module: only dlrun's packages may be imported here.
        if top not in ("dlrun", module):
            return None
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError) as error:
        raise LookupError(f"no module named '{module}'") from error
    finally:
        sys.path[:] = path
    if spec is None:
        raise LookupError(f"no module named '{module}'")
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


@lru_cache
def _read_arguments(module: str, source: Path, modified: int, name: str) -> frozenset[str] | None:
    """As :func:`_arguments`, from the source as it was ``modified``.

    Raises:
        LookupError: If it can't be read, or does not define the name.
    """
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise LookupError(f"module '{module}' can't be read: {error}") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _argument_names(node)
        if isinstance(node, ast.ClassDef) and node.name == name:
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            init = next((n for n in methods if n.name == "__init__"), None)
            return _argument_names(init) if init else None
    if _bound_names(tree).isdisjoint({name, "*"}):
        raise LookupError(f"module '{module}' has no '{name}'")
    return None


def _bound_names(tree: ast.Module) -> set[str]:
    """All names that a module may bind; ``*`` if it has a star import."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _argument_names(function: ast.FunctionDef) -> frozenset[str] | None:
    arguments = function.args
    if arguments.kwarg is not None:
        return None
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return frozenset(argument.arg for argument in every) - {"self"}

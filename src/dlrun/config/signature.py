"""Check a component's arguments against its source, without importing it.

A component's module imports a framework, and a config error must come before that.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlrun import feeds
from dlrun.config.schema import Config

# Given by the runner, never by a YAML file.
GIVEN = {
    "model": {"input_shape", "num_classes"},
    "loop": {
        *("model", "train", "validation", "epochs", "seed", "callbacks", "backend"),
        *("initial_epoch", "initial_step", "feed", "training"),
    },
}
# Read by the runner itself, never given to the component.
KEPT = {"data": {"feed"}}


def wrong_arguments(config: Config) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield ``(key, problem, valid names)`` for each argument that a component does not take."""
    parts: dict[str, Any] = {
        "data": config.data,
        "model": config.model,
        "optimizer": config.optimizer,
        "loop": config.loop,
    }
    parts |= {f"callbacks.{name}": part for name, part in config.callbacks.items()}
    for key, part in parts.items():
        if not isinstance(part, dict) or not isinstance(part.get("_target_"), str):
            yield key, "has no _target_: choose an option of this group", ()
            continue
        target = part["_target_"]
        try:
            arguments = _arguments(target)
        except LookupError as error:
            yield f"{key}._target_", str(error), ()
            continue
        if arguments is None:
            continue
        takes = tuple(sorted(arguments - GIVEN.get(key, set()) | KEPT.get(key, set())))
        for name in part:
            if name not in takes and not (name.startswith("_") and name.endswith("_")):
                yield f"{key}.{name}", f"{target} takes no '{name}'; it takes {_and(takes)}", takes


def feed_not_accepted(config: Config) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the same of ``data.feed``, where a loop takes no feed and one is chosen."""
    if config.feed in feeds.NEEDS_NO_FEED or config.feed not in feeds.NAMES:
        return
    try:
        arguments = _arguments(str(config.loop.get("_target_")))
    except LookupError:  # told as the loop's own mistake
        return
    if arguments is not None and "feed" not in arguments:
        loop, of = config.choices.get("loop"), " or ".join(feeds.NEEDS_NO_FEED)
        yield "data.feed", f"loop={loop} gathers its batches itself and takes only {of}", ()


@lru_cache
def _arguments(target: str) -> frozenset[str] | None:
    """The names of a target's arguments; None where they can't be known from here.

    Raises:
        LookupError: If there is no such module, or nothing of that name in it.
    """
    module, _, name = target.rpartition(".")
    top = module.partition(".")[0]
    if not module:
        raise LookupError(f"expected module.name, got {target!r}")
    cwd = str(Path.cwd())
    path = sys.path.copy()
    try:
        sys.path.append(cwd)
        found = importlib.util.find_spec(top)
        if found is None:
            raise LookupError(f"no module named '{top}'")
        # Looking further inside a package imports it: that is for our own and plain modules only.
        if top not in ("dlrun", module):
            return None
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError) as error:
        raise LookupError(f"no module named '{module}'") from error
    finally:
        sys.path[:] = path
    if spec is None:
        raise LookupError(f"no module named '{module}'")
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise LookupError(f"module '{module}' can't be read: {error}") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _names(node)
        if isinstance(node, ast.ClassDef) and node.name == name:
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            init = next((n for n in methods if n.name == "__init__"), None)
            return _names(init) if init else None
    if _bound(tree).isdisjoint({name, "*"}):
        raise LookupError(f"module '{module}' has no '{name}'")
    return None


def _bound(tree: ast.Module) -> set[str]:
    """All names that a module may bind, in whatever way; ``*`` where it imports all of another."""
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
    return bound


def _names(function: ast.FunctionDef) -> frozenset[str] | None:
    arguments = function.args
    if arguments.kwarg is not None:
        return None
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return frozenset(argument.arg for argument in named) - {"self"}


def _and(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nothing"

"""A JSON schema of the config and of an option's file, for editors."""

from __future__ import annotations

import ast
import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import yaml

from dlrun.config import schema
from dlrun.config.groups import GROUPS, Group
from dlrun.config.limits import CHOICES
from dlrun.config.options import config_dirs, first_comment
from dlrun.errors import DlrunError, did_you_mean

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest that yaml-language-server has
# Any value may be ${key}, which is resolved when the config is composed.
INTERPOLATION: Schema = {"type": "string", "pattern": r"\$\{.+\}|^\?\?\?$"}
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}
COMMENT = re.compile(r"^\s*([\w.]+):.*\s#\s+(.+)$", re.MULTILINE)


def json_schema(group: str | None = None, *, config_dir: Path | None = None) -> Schema:
    """The schema of a config, or of the file of an option.

    Args:
        group: The option's group; None for a run's config.yaml, an experiment or a whole config.
        config_dir: The user's own options, whose arguments are part of it.

    Raises:
        DlrunError: If there is no such group.
    """
    if group is not None and group not in GROUPS:
        raise DlrunError(
            f"group {group}: expected one of {', '.join(GROUPS)}", hint=did_you_mean(group, GROUPS)
        )
    dirs = config_dirs(config_dir)
    whole = _config(dirs)
    if group in (None, "experiment"):
        body = whole
        body["properties"]["defaults"] = _defaults()
        title = "A config of dlrun"
    else:
        body = _file(GROUPS[str(group)], whole, dirs)
        title = f"An option of dlrun's group {group}"
    return {"$schema": DRAFT, "title": title, **body}


def _config(dirs: list[Path]) -> Schema:
    comments = _comments(dirs[-1] / "dlrun.yaml")
    found = _dataclass(schema.Config, comments)
    for group in GROUPS.values():
        if group.name in found["properties"] and group.names_components:
            part = _component(group, dirs)
            several = {"type": "object", "additionalProperties": part}
            meaning = {"description": group.meaning}
            found["properties"][group.name] = meaning | (several if group.several else part)
    return found


def _file(group: Group, whole: Schema, dirs: list[Path]) -> Schema:
    """The file of an option: what it fills, and its defaults list."""
    if group.several:
        body: Schema = {"type": "object", "additionalProperties": _component(group, dirs)}
    elif group.modules:
        body = _component(group, dirs)
    else:
        body = dict(whole["properties"][group.name])
    properties = {**body.get("properties", {}), "defaults": _defaults()}
    return {**body, "properties": properties}


def _dataclass(part: type, comments: Mapping[str, str], prefix: str = "") -> Schema:
    descriptions = _attributes(part.__name__) | {k: v for k, v in comments.items() if not prefix}
    hints = typing.get_type_hints(part)
    properties = {}
    for field in dataclasses.fields(part):
        property_ = _of_type(hints[field.name], f"{prefix}{field.name}")
        if field.name in descriptions:
            property_ = {"description": descriptions[field.name], **property_}
        properties[field.name] = property_
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_type(hint: Any, key: str) -> Schema:
    origin = typing.get_origin(hint) or hint
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        found = _dataclass(hint, {}, f"{key}.")
    elif origin is list:
        found = {"anyOf": [{"type": "array"}, INTERPOLATION]}
    elif origin is dict:
        found = {"type": "object"}
    elif options := typing.get_args(hint):  # such as int | None
        found = {"anyOf": [_of_type(option, key) for option in options]}
    elif key in CHOICES:
        found = {"anyOf": [{"enum": list(CHOICES[key])}, INTERPOLATION]}
    elif hint in (str, NoneType):
        found = {"type": TYPES[hint]}
    else:
        found = {"anyOf": [{"type": TYPES[hint]}, INTERPOLATION]} if hint in TYPES else {}
    return found


def _component(group: Group, dirs: list[Path]) -> Schema:
    """A mapping with a ``_target_``, and the arguments that each shipped or own option has."""
    targets: dict[str, Schema] = {}
    for target, arguments in _options(group, dirs):
        targets.setdefault(target, {}).update(arguments)
    known = [
        {
            "if": {"properties": {"_target_": {"const": target}}, "required": ["_target_"]},
            "then": {"properties": arguments},
        }
        for target, arguments in targets.items()
        if arguments
    ]
    of = {
        "description": "The function or class that is called with the other keys.",
        "type": ["string", "null"],
        "examples": list(targets),
    }
    return {"type": "object", "properties": {"_target_": of}, **({"allOf": known} if known else {})}


def _options(group: Group, dirs: list[Path]) -> Iterator[tuple[str, Schema]]:
    for directory in reversed(dirs):
        for path in sorted((directory / group.name).glob("*.yaml")):
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, yaml.YAMLError):
                continue  # reported if it is chosen
            comments, line = _comments(path), first_comment(path)
            specs = content.values() if group.several and isinstance(content, dict) else [content]
            for spec in specs:
                if isinstance(spec, dict) and isinstance(target := spec.get("_target_"), str):
                    yield (
                        target,
                        {
                            name: _argument(value, comments.get(name), line)
                            for name, value in spec.items()
                            if name not in ("_target_", "defaults")
                        },
                    )


def _argument(value: Any, comment: str | None, option: str) -> Schema:
    schema = {"description": comment or option}
    if isinstance(value, bool):
        return schema | {"anyOf": [{"type": ["boolean", "null"]}, INTERPOLATION]}
    if isinstance(value, int | float):
        # Many take a fraction or a count.
        return schema | {"anyOf": [{"type": ["number", "null"]}, INTERPOLATION]}
    return schema


def _defaults() -> Schema:
    return {"description": "The options that this file chooses.", "type": "array"}


def _comments(path: Path) -> dict[str, str]:
    """The comments beside keys, by the last part of the key."""
    return dict(COMMENT.findall(path.read_text(encoding="utf-8", errors="replace")))


def _attributes(name: str) -> dict[str, str]:
    """The docstrings of a dataclass's attributes."""
    tree = ast.parse(Path(schema.__file__).read_text(encoding="utf-8"))
    [body] = [n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    descriptions, last = {}, None
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            descriptions[last] = " ".join(str(node.value.value).split())
        last = ast.unparse(node.target) if isinstance(node, ast.AnnAssign) else None
    return descriptions

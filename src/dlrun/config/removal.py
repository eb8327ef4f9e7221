"""Remove a key of a config, as ``~key`` does."""

from dataclasses import is_dataclass
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from dlrun.config.explain_values import example
from dlrun.config.mistake import Mistake
from dlrun.errors import shorten


def has_key(config: DictConfig, key: str) -> bool:
    """Whether a config has a key, be its value null or missing."""
    node, last = _holder(config, key)
    return isinstance(node, DictConfig) and last in node.keys()  # noqa: SIM118, also a missing value


def is_missing(config: DictConfig, key: str) -> bool:
    """Whether a key that the config has needs a value."""
    node, last = _holder(config, key)
    return bool(OmegaConf.is_missing(node, last))


def remove(config: DictConfig, value: Override) -> Mistake | None:
    """Remove a key that the config has.

    One of the schema's own is null then, if it may be: without it, the schema's default would take
    its place. Hydra refuses to remove most of them, and finds no key whose value is null.
    """
    line, key = str(value.input_line), value.key_or_group
    node, last = _holder(config, key)
    if is_missing(config, key):
        return None  # it has no value, which is told once all are there
    before, expected = OmegaConf.select(config, key, throw_on_missing=False), value.value()
    if expected not in ("", None, before):
        actual = "null" if before is None else shorten(str(before))
        return Mistake(line, f"can't be removed: its value is {actual}", meant=f"~{key}")
    if not _is_typed(config, key):
        with open_dict(node):
            del node[last]
    elif node._get_node(last)._is_optional():
        OmegaConf.update(config, key, None)
    else:
        changed = example(key, before) or f"{key}=VALUE sets another value"
        return Mistake(line, f"'{key}' can't be removed: each run needs it", hint=changed)
    return None


def _holder(config: DictConfig, key: str) -> tuple[Any, str]:
    """The mapping that a key is in, and its last part."""
    parent, _, last = key.rpartition(".")
    return OmegaConf.select(config, parent) if parent else config, last


def _is_typed(config: DictConfig, key: str) -> bool:
    """Whether a key that the config has is one of the schema's own."""
    return is_dataclass(OmegaConf.get_type(_holder(config, key)[0]))

"""The parts of Hydra, some of them private, that compose a run's config."""

import copy
import pickle
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import GroupDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dlrun.config.bare_words import join_words
from dlrun.config.explain import apart, grammar_mistake
from dlrun.config.groups import GROUPS
from dlrun.config.mistake import Mistake
from dlrun.config.options import config_dirs
from dlrun.config.ranges import parse_line
from dlrun.config.replacement import replace_of_task
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.runs.query import flat
from dlrun.system.files import exists, is_file

Loader: TypeAlias = ConfigLoaderImpl


def list_group_options(loader: Loader, group: str) -> list[str]:
    """The names of a group's options."""
    return list(loader.repository.get_group_options(group))


def config_loader(config_dir: Path | None) -> ConfigLoaderImpl:
    """Hydra's loader for the user's own options, the shipped ones, and the schema."""
    _register()
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    for directory in config_dirs(config_dir)[:-1]:
        search_path.append("user", f"file://{directory}")
    search_path.append("dlrun", "pkg://dlrun.configs")
    search_path.append("schema", "structured://")
    loader = ConfigLoaderImpl(search_path)
    loader.repository = _Repository(search_path)
    return loader


class _Repository(ConfigRepository):
    """Reads once in a process what no user can edit."""

    _read: ClassVar[dict[str, bytes]] = {}

    def __deepcopy__(self, memo: Any) -> "_Repository":
        return copy.copy(self)  # Hydra's loader copies it, and then replaces its sources

    def load_config(self, config_path: str) -> ConfigResult | None:
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.provider == "user":
            return super().load_config(config_path)
        if config_path not in self._read:
            read = super().load_config(config_path)
            if read is not None and config_path == "hydra/config":
                # Its own logs, help and launchers, of which dlrun has no use: ten files.
                for default in read.defaults_list or ():
                    if isinstance(default, GroupDefault):
                        default.value = None
            self._read[config_path] = pickle.dumps(read)
        result: ConfigResult = pickle.loads(self._read[config_path])
        return result


@cache
def _register() -> None:
    version.setbase("1.3")
    # Not Plugins.instance(), which imports every launcher that is installed.
    for source in (FileConfigSource, ImportlibResourcesConfigSource, StructuredConfigSource):
        SourcesRegistry.instance().register(source)
    ConfigStore.instance().store(name="dlrun_schema", node=Config)


def compose_choices(lines: Sequence[str], config_dir: Path | None) -> DictConfig:
    """Compose the config of chosen options, before values are set.

    Hydra's loader takes most of the time of composing, and the runs of a sweep make the same
    choices, so results are cached until a file of the user's own options changes.
    """
    user_dirs = config_dirs(config_dir)[:-1]
    # Not all below it, which may be a project with its runs.
    groups = [directory / group for directory in user_dirs for group in GROUPS]
    files = [path for group in groups for path in (group, *group.rglob("*.yaml")) if exists(path)]
    stamp = tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files))
    # Five times as fast as a deep copy.
    config: DictConfig = pickle.loads(_compose_choices(tuple(lines), config_dir, stamp))
    return config


@lru_cache(maxsize=128)
def _compose_choices(lines: Sequence[str], config_dir: Path | None, stamp: object) -> bytes:
    loader = config_loader(config_dir)
    base = loader.load_configuration("dlrun", list(lines), RunMode.RUN)
    if any(_mentions_hydra(directory) for directory in config_dirs(config_dir)[:-1]):
        _refuse_hydra_settings(base, loader)
    runtime: Any = OmegaConf.to_container(base.hydra.runtime.choices)
    OmegaConf.set_struct(base, False)
    if len(config_dirs(config_dir)) > 1 or runtime.get("experiment"):
        replace_of_task(base, list(lines), str(runtime.get("task")), loader)
    del base["hydra"]
    single = (name for name, group in GROUPS.items() if not group.several)
    base.choices = {name: runtime[name] for name in single if isinstance(runtime.get(name), str)}
    return pickle.dumps(base)


def _mentions_hydra(directory: Path) -> bool:
    files = (path for group in GROUPS for path in (directory / group).rglob("*.yaml"))
    return any(b"hydra" in path.read_bytes() for path in files if is_file(path))


def _refuse_hydra_settings(composed: DictConfig, loader: Loader) -> None:
    """Refuse an option that changes Hydra's own settings, as dlrun starts no Hydra application.

    Raises:
        DlrunError: Names the settings.
    """
    default = loader.load_configuration("dlrun", [], RunMode.RUN)
    settings: list[Any] = [
        OmegaConf.to_container(config.hydra, resolve=False) for config in (composed, default)
    ]
    actual, expected = (dict(flat(setting)) for setting in settings)
    own = ("runtime.", "overrides.", "job.override_dirname", "job.name", "job.config_name")
    changed = [
        f"hydra.{key}"
        for key in dict.fromkeys((*actual, *expected))
        if actual.get(key) != expected.get(key) and not key.startswith(own)
    ]
    if changed:
        raise DlrunError(
            f"an option sets {', '.join(changed)}, but dlrun has no use for Hydra's own settings",
            hint="remove 'hydra' from the option; runs_dir=PATH is the place of the runs, and"
            " dlrun sweep takes --launcher, --search and --jobs",
        )


KEPT = re.compile(r"\+(?:callbacks\.)?checkpoint\.(keep=.+)")  # was not in the option's file
CHECKPOINT = re.compile(r"([+~]*)checkpoint\.(.+)")
LAYOUT = re.compile(r"distribution\.layout\.(.+?)=(.*\[.*\].*)")


def parse(overrides: Sequence[str]) -> tuple[list[Override], list[Mistake]]:
    """Parse overrides one at a time, so that all mistakes are found."""
    parsed: list[Override] = []
    mistakes: list[Mistake] = []
    for line, meant in join_words(_expand_shorthand(overrides)):
        override = _apart_in_run(line, meant) if meant else parse_line(line)
        problem = override if isinstance(override, Mistake) else grammar_mistake(line, override)
        if problem is not None:
            mistakes.append(problem)
        elif isinstance(override, Override):
            parsed.append(override)
    return parsed, mistakes


def _apart_in_run(words: str, meant: str) -> Mistake:
    """As :func:`apart`, for a run, which takes no override with several values."""
    line = meant[1:-1] if meant.startswith("'") else meant
    joined = parse_line(line)
    refused = joined if isinstance(joined, Mistake) else grammar_mistake(line, joined)
    mistake = apart(words, meant)
    return replace(mistake, meant=None, hint=refused.hint) if refused else mistake


def is_choice(loader: ConfigLoaderImpl, override: Override) -> bool:
    """Whether an override chooses an option of a group, rather than setting a value."""
    # As in Hydra (ConfigRepository and load_configuration), a mapping is a value.
    return (
        override.key_or_group in GROUPS
        and bool(loader.repository.group_exists(override.key_or_group))
        and not isinstance(override.value(), dict)
    )


def apply(value: Override, config: DictConfig) -> None:
    """Apply one value to a config, by Hydra's rules for ``=``, ``+``, ``++`` and ``~``."""
    ConfigLoaderImpl._apply_overrides_to_config([value], config)


def is_addition(choice: Override) -> bool:
    """Whether a choice adds options to those already chosen."""
    return bool(choice.is_add() or choice.is_force_add())


def choose(choice: Override, config: DictConfig, loader: ConfigLoaderImpl) -> None:
    """Replace a group's part of a config by the chosen option, or add the option to it."""
    group = GROUPS[choice.key_or_group]
    place = group.key
    option = f"+{group.name}@{place}={choice.get_value_element_as_str()}"
    composed = loader.load_configuration(None, [option], run_mode=RunMode.RUN)
    part = OmegaConf.select(composed, place, default={})
    # Interpolations are resolved in the config they are inserted into.
    plain = OmegaConf.to_container(part, resolve=False) if part else {}
    OmegaConf.update(config, place, plain, merge=is_addition(choice), force_add=True)
    if not group.several:
        config.choices[group.name] = choice.value()


def _expand_shorthand(overrides: Sequence[str]) -> list[str]:
    """Expand ``device=gpu:1``, ``max_time=8h`` and ``checkpoint.every=500``.

    A pattern of ``distribution.layout`` may have dots, so those of all overrides make one mapping.
    """
    expanded: list[str] = []
    layout: dict[str, str] = {}
    for override in overrides:
        if axes := LAYOUT.fullmatch(override):
            layout[axes[1].strip("'\"")] = axes[2].strip("'\"")
        elif device := re.fullmatch(r"device=(\w+):(\d+)", override):
            expanded += [f"device={device[1]}", f"device.index={device[2]}"]
        elif limit := re.fullmatch(r"max_time=(.*)", override):
            expanded += ["+callbacks=max_time", f"callbacks.max_time.limit={limit[1]}"]
        elif kept := KEPT.fullmatch(override):
            expanded.append(f"callbacks.checkpoint.{kept[1]}")
        elif short := CHECKPOINT.fullmatch(override):
            expanded.append(f"{short[1]}callbacks.checkpoint.{short[2]}")
        else:
            expanded.append(override)
    if layout:
        pairs = (f"{_escape(pattern)}:{axes}" for pattern, axes in layout.items())
        expanded.append(f"distribution.layout={{{','.join(pairs)}}}")
    return expanded


def _escape(pattern: str) -> str:
    """A pattern as a key in Hydra's grammar."""
    return re.sub(r"([\\()\[\]{}:=, \t])", r"\\\1", pattern)

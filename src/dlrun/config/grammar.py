"""The parts of Hydra that a run is composed with, the private ones among them."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig

from dlrun.config.explain import Mistake, grammar_mistake, unparsed
from dlrun.config.options import GROUPS, config_dirs
from dlrun.config.schema import Config


def config_loader(config_dir: Path | None) -> ConfigLoaderImpl:
    """Hydra's loader, over the user's own options, those that ship, and the schema."""
    version.setbase("1.3")
    Plugins.instance()  # registers the file:// and pkg:// sources
    ConfigStore.instance().store(name="dlrun_schema", node=Config)
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    for directory in config_dirs(config_dir)[:-1]:
        search_path.append("user", f"file://{directory}")
    search_path.append("dlrun", "pkg://dlrun.configs")
    search_path.append("schema", "structured://")
    return ConfigLoaderImpl(search_path)


def parse(overrides: Sequence[str]) -> tuple[list[Override], list[Mistake]]:
    """Parse overrides one at a time: a mistake in one hides no other."""
    parser = OverridesParser.create()
    parsed: list[Override] = []
    mistakes: list[Mistake] = []
    for line in _spelt_out(overrides):
        try:
            override = parser.parse_override(line)
        except HydraException:
            mistakes.append(unparsed(line))
            continue
        if (problem := grammar_mistake(line, override)) is None:
            parsed.append(override)
        else:
            mistakes.append(problem)
    return parsed, mistakes


def is_choice(loader: ConfigLoaderImpl, override: Override) -> bool:
    """Whether an override chooses an option of a group, rather than setting a value."""
    # Hydra's own rule (ConfigRepository and load_configuration): a mapping is a value.
    is_group = loader.repository.group_exists(override.key_or_group)
    return (
        bool(is_group)
        and override.key_or_group in GROUPS
        and not isinstance(override.value(), dict)
    )


def apply(value: Override, config: DictConfig) -> None:
    """Lay one value over a config, by Hydra's own rules for ``=``, ``+``, ``++`` and ``~``."""
    ConfigLoaderImpl._apply_overrides_to_config([value], config)


def _spelt_out(overrides: Sequence[str]) -> list[str]:
    """Write ``device=gpu:1`` as the two overrides that it stands for."""
    spelt: list[str] = []
    for override in overrides:
        numbered = re.fullmatch(r"device=(\w+):(\d+)", override)
        spelt += (
            [f"device={numbered[1]}", f"device.index={numbered[2]}"] if numbered else [override]
        )
    return spelt

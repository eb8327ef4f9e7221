"""The config of Hydra's launchers, and of the app whose jobs they run.

Only this file, ``launchers.py`` and ``grammar.py`` use Hydra's private API.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig

from dlrun.config.sweeps import ray_setup

_APP = "dlrun_launcher"


def config_loader(name: str, directory: Path) -> ConfigLoaderImpl:
    """The config loader of a Hydra app that has a number and a launcher."""
    version.setbase("1.3")
    setup_globals()
    Plugins.instance()  # also stores the launchers' configs
    JobRuntime.instance().set("name", "dlrun")  # Slurm's queue shows it
    app = {
        "defaults": [
            {"override hydra/launcher": name},
            # Otherwise Hydra would write to stdout and disable dlrun's own log.
            {"override hydra/hydra_logging": "none"},
            {"override hydra/job_logging": "none"},
            "_self_",
        ],
        "number": 0,
        "hydra": {
            "job": {"chdir": False},
            "launcher": ray_setup.KEYS if name == "ray" else {},
            "output_subdir": None,
            "sweep": {"dir": str(directory.resolve()).replace("${", "\\${"), "subdir": "."},
        },
    }
    ConfigStore.instance().store(name=_APP, node=app)
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    search_path.append("schema", "structured://")
    return ConfigLoaderImpl(search_path)


def compose_launcher(loader: ConfigLoaderImpl, options: Sequence[str]) -> DictConfig:
    """The config of the app, with options of a launcher as ``key=value``."""
    overrides = [under_launcher(option) for option in options]
    return loader.load_configuration(_APP, overrides, run_mode=RunMode.MULTIRUN)


def launcher_config(name: str, options: Sequence[str]) -> DictConfig:
    """A launcher's own config."""
    config: DictConfig = compose_launcher(config_loader(name, Path()), options).hydra.launcher
    return config


def under_launcher(option: str) -> str:
    """A launcher's option as an override of the app's config."""
    return re.sub(r"^([+~]*)", r"\1hydra.launcher.", option, count=1)

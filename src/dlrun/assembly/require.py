"""Check that a config can run here, without importing a framework."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from dlrun import backends
from dlrun.config.groups import GROUPS
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.loops import LOOPS

# Adam's second moment keeps 0.999 of itself each step, which is 1 in bfloat16: it never changes.
HALF = ("bfloat16", "float16")


def require(config: Config, *, training: bool) -> None:
    """Check that the backend and the packages of its components are installed.

    Args:
        config: Of the run.
        training: Whether it trains, and writes exports.

    Raises:
        DlrunError: If one is not, or if it can't train or compile as the config asks.
    """
    if training and config.precision in HALF:
        raise DlrunError(
            f"precision={config.precision} can't train: most updates are smaller than what a weight"
            f" in {config.precision} can change by, and are lost",
            hint=f"precision=mixed_{config.precision} computes in {config.precision} and keeps the "
            "weights in float32",
        )
    compile = str(config.loop.get("compile", "auto"))
    backends.require(config.backend.name, training=training, compile=compile)
    if spread := spread_of(config):
        _require_distribution(config, spread, training=training)
    _require_package("feed", config.choices.get("feed"), config.feed)
    _require_backend(config)
    if training:
        for group in ("export", "tracker"):
            for name, spec in getattr(config, group).items():
                _require_package(group, name, spec)
        if config.tracker:
            from dlrun.assembly.trackers import build_trackers

            build_trackers(config)  # refuses wrong arguments


def spread_of(config: Config) -> backends.Spread | None:
    """How a config's run is spread over devices; None for one."""
    chosen = config.distribution
    if chosen.kind == "none":
        return None
    layout = None if chosen.layout in (None, "auto") else chosen.layout
    return backends.Spread(chosen.kind, config.device.count, layout, chosen.replicas)


def _require_distribution(config: Config, spread: backends.Spread, *, training: bool) -> None:
    """Check that the backend and the loop can spread a run over devices.

    Raises:
        DlrunError: If one can't, or there are fewer devices.
    """
    backends.require_devices(config.backend.name, spread, kind=config.device.kind)
    if not training:
        return
    known = [f"dlrun.loops.{loop}.{loop}" for loop in LOOPS]
    if config.loop["_target_"] not in known or config.loop.get("stepper") is not None:
        raise DlrunError(
            f"distribution={spread.kind}: loop={config.choices.get('loop')} computes on one device",
            hint=f"loop={' or loop='.join(LOOPS)}, or distribution=none device.count=1",
        )


def without_kept(group: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A component's config without the keys that dlrun reads itself."""
    return {key: value for key, value in spec.items() if key not in GROUPS[group].kept}


def _require_backend(config: Config) -> None:
    """Check the backend of a model that is written in one backend's own terms."""
    model, backend = config.choices.get("model"), config.model.get("only_backend")
    if backend not in (None, config.backend.name):
        raise DlrunError(
            f"model={model} computes on backend={backend} alone, not on {config.backend.name}",
            hint=f"backend={backend}",
        )


def _require_package(group: str, option: str | None, spec: Mapping[str, Any]) -> None:
    package = spec.get("package")
    if package and importlib.util.find_spec(package) is None:
        ships = str(spec.get("_target_")).startswith("dlrun.")  # its packages are dlrun's extras
        install = f"'dlrun[{package}]'" if ships else package
        raise DlrunError(
            f"{group}={option}: {package} is not installed",
            hint=f"pip install {install}, or choose another option of '{group}'",
        )

"""The config of a run that has been, which may have been copied from a stranger.

It was resolved when it was written: it holds plain values and nothing that leads elsewhere.
"""

import re
from pathlib import Path, PurePath
from typing import Any

import yaml

from dlrun.config.problem import Problem, Problems
from dlrun.config.trust import Refusal
from dlrun.errors import DlrunError, first_line

# Far more than a config has: some 3,000 bytes, five levels.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
# Arguments of callbacks that say where to write.
PLACES = re.compile(r"(.+_)?(dir|directory|file|filename|filepath|path)")


def read_config(path: Path) -> dict[str, Any]:
    """Read a resolved config, with the keys of this version.

    Raises:
        DlrunError: If it is not a mapping in YAML, or grows when it is read.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes, and a config at most {MAX_BYTES:,}")
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DlrunError(f"{path} can't be read as a config: {first_line(error)}") from error
    if not isinstance(config, dict):
        raise DlrunError(f"{path} is not a config: expected a mapping")
    return _upgraded(config)


def _upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """A config with the keys of this version in place of older ones.

    ``feed`` was a key of ``data``, and ``export.keras`` was ``export_keras``.
    """
    data, choices = config.get("data"), config.get("choices")
    if isinstance(data, dict) and "feed" in data and isinstance(choices, dict):
        feed = data.pop("feed")
        choices.setdefault("feed", feed)
        target = None if feed == "auto" else f"dlrun.feeds.{feed}.{feed}"
        config.setdefault("feed", {"_target_": target})
    if config.pop("export_keras", False) is True:
        config.setdefault("export", {"keras": {"_target_": "dlrun.exports.keras.export_keras"}})
    return config


def check_plain(config: Any, key: str = "") -> None:
    """Refuse what no resolved config holds.

    Raises:
        DlrunError: If there is an interpolation, which could read the environment, or a value
            that is none of JSON's, or a text that a terminal would obey.
    """
    if isinstance(config, dict):
        for name, value in config.items():
            if not isinstance(name, str) or not name.isprintable():
                raise DlrunError(f"the recorded config has a key that is none, {key}{name!a:.80}")
            check_plain(value, f"{key}{name}.")
    elif isinstance(config, list):
        for number, value in enumerate(config):
            check_plain(value, f"{key}{number}.")
    elif not isinstance(config, str | int | float | None):
        raise DlrunError(f"the recorded config holds no plain value: {key[:-1]} is {config!a:.80}")
    elif isinstance(config, str) and "${" in config:
        raise DlrunError(
            f"the recorded config holds an interpolation, {config!a:.80}: it is not followed"
        )
    elif isinstance(config, str) and not re.sub(r"[\n\t]", "", config).isprintable():
        raise DlrunError(f"the recorded config holds control characters: {key[:-1]}")


def refused(refusals: list[Refusal]) -> DlrunError:
    """The error for a recorded config with parts that may not be instantiated."""
    if hopeless := next((r for r in refusals if r.allow is None), None):
        names = f" names {hopeless.target}, which" if hopeless.target else f": {hopeless.key}"
        return DlrunError(
            f"this run's config{names} {hopeless.problem}",
            hint="dlrun writes no such config: it was changed since",
        )
    targets = list(dict.fromkeys(r.target for r in refusals))
    told = f"{' and '.join(targets)}, which {'is' if len(targets) == 1 else 'are'} not trusted"
    options = " ".join(dict.fromkeys(f"--trust {r.allow}" for r in refusals))
    return DlrunError(
        f"this run's config names {told}", hint=f"if you know the code, add {options}"
    )


def outside(callbacks: dict[str, Any]) -> Problems:
    """Yield each place outside the run where a callback would write."""
    for name, spec in callbacks.items():
        for argument, value in spec.items() if isinstance(spec, dict) else ():
            if not isinstance(value, str) or not PLACES.fullmatch(str(argument)):
                continue
            home, *rest = PurePath(value).parts or ("",)
            if home != "{run_dir}" or ".." in rest:
                yield Problem(f"callbacks.{name}.{argument}", f"{value!a:.80} lies outside the run")


class _PlainLoader(yaml.SafeLoader):
    """Without aliases, a few of which stand for gigabytes; dlrun writes none."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} levels deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

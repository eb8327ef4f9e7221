"""Read a run's ``config.yaml``, which may be copied from an untrusted source.

It was resolved when written, so it holds plain values and no interpolations.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml

from dlrun.config.problem import Problem, Problems
from dlrun.config.trust import Refusal
from dlrun.errors import DlrunError, first_line
from dlrun.system.override_text import split_override

# Far above a typical config of 3,000 bytes and five levels.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
# Arguments of callbacks that name an output path.
PLACES = re.compile(r"(.+_)?(dir|directory|file|filename|filepath|path)")


def read_config(path: Path) -> dict[str, Any]:
    """Read a resolved config, and convert it to the keys of this version.

    Raises:
        DlrunError: If it is not a YAML mapping, too large or too deep, or has aliases.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes; at most {MAX_BYTES:,} are read")
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DlrunError(f"{path} can't be read as a config: {first_line(error)}") from error
    if not isinstance(config, dict):
        raise DlrunError(f"{path} is not a config: expected a mapping")
    return _upgrade(config)


def _upgrade(config: dict[str, Any]) -> dict[str, Any]:
    """A config with keys of older versions replaced: ``data.feed`` and ``export_keras``."""
    data, choices = config.get("data"), config.get("choices")
    is_older = "feed" not in config  # else it is an argument of the user's own data set
    if is_older and isinstance(data, dict) and "feed" in data and isinstance(choices, dict):
        feed = data.pop("feed")
        choices.setdefault("feed", feed)
        target = None if feed == "auto" else f"dlrun.feeds.{feed}.{feed}"
        config.setdefault("feed", {"_target_": target})
    if config.pop("export_keras", False) is True:
        config.setdefault("export", {"keras": {"_target_": "dlrun.exports.keras.export_keras"}})
    return config


def upgrade_overrides(lines: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """The overrides of a run with those of older versions replaced, as :func:`read_config` does.

    Args:
        lines: As the run has recorded them, of each key the last.
        config: From :func:`read_config`.
    """
    data = config.get("data")
    is_own = isinstance(data, Mapping) and "feed" in data
    upgraded = []
    for line in lines:
        key, value = split_override(line)
        if line.startswith("export_keras="):
            upgraded += ["+export=keras"] * (str(value).lower() == "true")
        else:
            upgraded.append(f"feed={value}" if key == "data.feed" and not is_own else line)
    return upgraded


def check_plain(config: Any, key: str = "") -> None:
    """Refuse values that a resolved config can't have.

    Raises:
        DlrunError: If there is an interpolation, which could read the environment, a value that is
            not JSON, or text with control characters.
    """
    if isinstance(config, dict):
        for name, value in config.items():
            if not isinstance(name, str) or not name.isprintable():
                raise DlrunError(f"the recorded config has an invalid key, {key}{name!a:.80}")
            check_plain(value, f"{key}{name}.")
    elif isinstance(config, list):
        for index, value in enumerate(config):
            check_plain(value, f"{key}{index}.")
    elif not isinstance(config, str | int | float | None):
        message = f"the recorded config holds an invalid value: {key[:-1]} is {config!a:.80}"
        raise DlrunError(message)
    elif isinstance(config, str) and "${" in config:
        raise DlrunError(
            f"the recorded config holds an interpolation, which is not allowed: {config!a:.80}"
        )
    elif isinstance(config, str) and not re.sub(r"[\n\t]", "", config).isprintable():
        raise DlrunError(f"the recorded config holds control characters: {key[:-1]}")


def untrusted_error(refusals: list[Refusal], project: str | None = None) -> DlrunError:
    """The error for a recorded config with untrusted targets.

    Args:
        refusals: Of its targets.
        project: As for :func:`project_hint`.
    """
    if forbidden := next((r for r in refusals if r.allow is None), None):
        names = f" names {forbidden.target}, which" if forbidden.target else f": {forbidden.key}"
        return DlrunError(
            f"this run's config{names} {forbidden.problem}",
            hint="the file was changed after dlrun wrote it",
        )
    targets = list(dict.fromkeys(r.target for r in refusals))
    verb = "is" if len(targets) == 1 else "are"
    options = " ".join(dict.fromkeys(f"--trust {r.allow}" for r in refusals))
    where = f"; {project_hint(project)}" if project else ""
    return DlrunError(
        f"this run's config names {' and '.join(targets)}, which {verb} not trusted",
        hint=f"if you know the code, add {options}{where}",
    )


def project_hint(project: str) -> str:
    """How to use the options and modules of the project that a run was trained in.

    Args:
        project: As the run records it: never searched unless the user names it.
    """
    return f"it was trained in another project: --config-dir {shlex.quote(project)}"


def paths_outside_run(callbacks: dict[str, Any]) -> Problems:
    """Yield each argument of a callback that is a path outside the run directory."""
    for name, spec in callbacks.items():
        for argument, value in spec.items() if isinstance(spec, dict) else ():
            if not isinstance(value, str) or not PLACES.fullmatch(str(argument)):
                continue
            root, *rest = PurePath(value).parts or ("",)
            if root != "{run_dir}" or ".." in rest:
                yield Problem(f"callbacks.{name}.{argument}", f"{value!a:.80} lies outside the run")


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, a few of which can expand to gigabytes; dlrun writes none."""

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

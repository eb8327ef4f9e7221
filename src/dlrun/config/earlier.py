"""The config of an earlier run again, with changes: ``dlrun train --from RUN``.

The overrides of the earlier run are composed anew, so that what depends on a changed value follows
it. Where the options or dlrun itself have changed since, the values of the recorded config hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from dlrun.config.compose import compose, recompose
from dlrun.config.grammar import parse
from dlrun.config.groups import GROUPS
from dlrun.config.options import module_dirs
from dlrun.config.project import HERE, Project
from dlrun.config.schema import Backend, Config, Device, Reproduces, Task
from dlrun.config.signature import wrong_arguments
from dlrun.errors import DlrunError, shorten
from dlrun.runs.query import flat, text
from dlrun.system.equality import is_same
from dlrun.system.override_text import split_override

# The parts with fixed keys; the others hold the arguments of components.
_TYPED = {"backend": Backend, "device": Device, "task": Task, "reproduces": Reproduces}
# Not compared: what dlrun records of the choices, and where runs lie.
_APART = ("choices", "runs_dir", "name")
_LENGTH = frozenset({"epochs", "max_steps"})

Values = dict[str, Any]


@dataclass(frozen=True)
class Earlier:
    """The config of a run that repeats an earlier one.

    Args:
        config: Checked.
        overrides: Those of the earlier run that still hold, followed by the new ones.
        gone: A line for each recorded value that no longer exists, and what became of it.
        added: The keys that the earlier run did not have and nobody has typed.
    """

    config: Config
    overrides: list[str]
    gone: list[str]
    added: list[str]


def compose_earlier(
    recorded: dict[str, Any],
    before: Sequence[str],
    overrides: Sequence[str],
    *,
    project: Project = HERE,
    trained_in: str | None = None,
) -> Earlier:
    """Compose the config of an earlier run with changes.

    Args:
        recorded: The earlier run's resolved config; it may be a copy from an untrusted source.
        before: The overrides of the earlier run.
        overrides: The changes, as typed.
        project: The user's own options, and what is trusted.
        trained_in: As for :func:`dlrun.config.compose.recompose`.

    Raises:
        DlrunError: With every mistake in the changes; or if the earlier run has chosen an option,
            or named a component, that no longer exists.
    """
    gone: list[str] = []
    before = [line for line in before if "${" not in line]  # the record has the value
    base = _compose_known(before, overrides, gone, project)
    kept = [line for line in before if not covers(overrides, line)]
    changed = compose(overrides, earlier=kept, project=project)
    then, now = _plain(base), _plain(changed)
    result: dict[str, Any] = asdict(changed)
    drifted, lost = _drifted(recorded, then, now, _covered_keys(overrides))
    gone += lost
    for key, value in drifted.items():
        _set(result, key, value)
    gone += _drop_unknown_arguments(result, drifted, now, project.config_dir)
    config = recompose(
        result,
        (),
        changeable=(),
        typed_before=overrides,
        training=True,
        project=project,
        trained_in=trained_in,
    )
    return Earlier(config, [*kept, *overrides], gone, _added(recorded, then, now))


def _drifted(
    recorded: dict[str, Any],
    then: Mapping[str, Any],
    now: Mapping[str, Any],
    covered: Sequence[str],
) -> tuple[Values, list[str]]:
    """The recorded values that today's options have otherwise, and a line for each lost key.

    Args:
        recorded: The earlier run's config.
        then: What its overrides give today, by dotted key.
        now: What they give with the changes.
        covered: The keys that the changes set.
    """
    drifted: Values = {}
    lost = []
    for key, value in flat(recorded):
        is_known = key in then and is_same(then[key], value)
        if is_known or value == {} or key.partition(".")[0] in _APART:
            continue
        if not _is_below(key, covered) and now.get(key) == then.get(key):
            if _exists(key):
                drifted[key] = value
            else:
                lost.append(f"{key}={_short(value)}: no such key; left out")
    return drifted, lost


def _added(recorded: dict[str, Any], then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The keys that the earlier run did not have; arguments as for :func:`_drifted`."""
    had = {key for key, _ in flat(recorded)}
    return [
        key
        for key in then
        if key not in had and key in now and key.partition(".")[0] not in _APART
        if not any(other.startswith(f"{key}.") for other in had)
    ]


def _compose_known(
    before: list[str], overrides: Sequence[str], gone: list[str], project: Project
) -> Config:
    """Compose the earlier overrides, without those that no longer exist, which are removed.

    Raises:
        DlrunError: If the option of a group no longer exists, and the changes choose no other.
    """
    while True:
        try:
            return compose((), earlier=before, project=project)
        except DlrunError as error:
            wrong = {mistake.override: mistake.problem for mistake in error.mistakes}
            lines = [line for line in before if line in wrong]
            if not lines:
                raise
            for line in lines:
                before.remove(line)
                if covers(overrides, line):
                    continue
                if split_override(line)[0] in GROUPS:
                    raise DlrunError(
                        f"the earlier run has {line}: {wrong[line]}",
                        hint=f"choose another: {split_override(line)[0]}=OPTION",
                    ) from error
                gone.append(f"{line}: {wrong[line]}; left out")


def _drop_unknown_arguments(
    result: dict[str, Any], drifted: Values, now: Values, config_dir: Path | None
) -> Iterator[str]:
    """Remove recorded arguments that their component no longer takes; yields a line for each."""
    merged: Any = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(result))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, Config)
    for problem in list(wrong_arguments(config, module_dirs(config_dir))):
        if problem.key not in drifted:
            continue
        value = drifted[problem.key]
        if problem.key in now:  # such as a component that has moved
            _set(result, problem.key, now[problem.key])
            yield f"{problem.key}={_short(value)}: {problem.text}; now {_short(now[problem.key])}"
        elif not problem.key.endswith("._target_"):
            _remove(result, problem.key)
            yield f"{problem.key}={_short(value)}: {problem.text}; left out"


def covers(overrides: Sequence[str], line: str) -> bool:
    """Whether one of the changes takes the place of an earlier override."""
    parsed, _ = parse([line])
    return bool(parsed) and _is_below(_place(str(parsed[0].key_or_group)), _covered_keys(overrides))


def _covered_keys(overrides: Sequence[str]) -> list[str]:
    """The keys that the changes set or replace, with all below them."""
    keys = [
        _place(str(override.key_or_group))
        for override in parse(overrides)[0]
        if not (override.is_add() and str(override.key_or_group) in GROUPS)  # it adds an option
    ]
    # One that is typed alone takes the place of the other.
    return [*keys, *_LENGTH] if len(_LENGTH.intersection(keys)) == 1 else keys


def _place(key: str) -> str:
    return GROUPS[key].key if key in GROUPS else key


def _is_below(key: str, covered: Sequence[str]) -> bool:
    return any(key == other or key.startswith(f"{other}.") for other in covered)


def _exists(key: str) -> bool:
    """Whether the schema has a place for a key."""
    part, _, rest = key.partition(".")
    if part not in {field.name for field in fields(Config)}:
        return False
    typed = _TYPED.get(part)
    name = rest.partition(".")[0]
    return typed is None or not rest or name in {field.name for field in fields(typed)}


def _plain(config: Config) -> Values:
    return dict(flat(asdict(config)))


def _set(result: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node: Any = result
    for parent in parents:
        inner = node.get(parent)
        if not isinstance(inner, dict):
            inner = node[parent] = {}
        node = inner
    node[last] = value


def _remove(result: dict[str, Any], key: str) -> None:
    *parents, last = key.split(".")
    node: Any = result
    for parent in parents:
        node = node.get(parent, {})
    node.pop(last, None)


def _short(value: Any) -> str:
    return shorten(text(value))

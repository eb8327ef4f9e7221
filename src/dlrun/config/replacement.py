"""Let a loss or metrics that an experiment chooses replace those of the task's own file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dlrun.config.groups import GROUPS

if TYPE_CHECKING:
    from dlrun.config.grammar import Loader


def replace_of_task(base: DictConfig, lines: Sequence[str], task: str, loader: Loader) -> None:
    """Remove what Hydra has merged of the task's file into options that replace it.

    Hydra merges in the order of the defaults, the task last: an experiment's
    ``override /metrics: [mae]`` would add to the task's own metrics, with the arguments of both
    where they have one name.

    Args:
        base: The composed config; changed in place.
        lines: The choices of it.
        task: The chosen task.
        loader: Hydra's.
    """
    chosen_by_group = _options(loader, lines)
    by_task = _options(loader, [f"task={task}"]) if any(chosen_by_group.values()) else {}
    alone: Any = None
    for name, chosen in chosen_by_group.items():
        group = GROUPS[name]
        if not chosen or chosen == by_task[name]:
            continue  # the task's own choice
        alone = alone or loader.load_configuration("dlrun", [f"task={task}"], RunMode.RUN)
        names = ",".join(chosen)
        option = f"+{group.name}@{group.place}={f'[{names}]' if group.several else names}"
        options = loader.load_configuration(None, [option], RunMode.RUN)
        merged, of_task, of_options = (
            _plain(OmegaConf.select(config, group.place)) for config in (base, alone, options)
        )
        if isinstance(merged, Mapping) and isinstance(of_task, Mapping):
            replaced = _without(merged, of_task, of_options or {})
            OmegaConf.update(base, group.place, replaced, merge=False)


def _options(loader: Loader, lines: Sequence[str]) -> dict[str, list[str]]:
    """The chosen options of each group that fills a key of the task."""
    parsed = loader.compute_defaults_list("dlrun", list(lines), RunMode.RUN).defaults
    paths = [str(default.config_path).partition("/") for default in parsed if default.config_path]
    groups = [group.name for group in GROUPS.values() if group.place]
    return {name: [option for group, _, option in paths if group == name] for name in groups}


def _plain(part: Any) -> Any:
    return OmegaConf.to_container(part, resolve=False) if OmegaConf.is_config(part) else part


def _without(
    merged: Mapping[str, Any], of_task: Mapping[str, Any], of_options: Mapping[str, Any]
) -> dict[str, Any]:
    """What was merged, without the task's part: where the options say otherwise, they hold."""
    result: dict[str, Any] = {}
    for key, value in merged.items():
        mine, theirs = of_options.get(key), of_task.get(key)
        if key not in of_task:
            result[key] = value
        elif isinstance(value, Mapping) and isinstance(theirs, Mapping):
            inner = _without(value, theirs, mine if isinstance(mine, Mapping) else {})
            if inner or key in of_options:
                result[key] = inner
        elif value != theirs:  # set by the experiment itself
            result[key] = value
        elif key in of_options:
            result[key] = mine
    return result

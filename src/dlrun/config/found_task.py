"""Choose the model and the task that a data source goes with, where the user chooses none."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from dlrun.config import trust
from dlrun.config.grammar import compose_choices
from dlrun.config.groups import GROUPS
from dlrun.config.instantiate import instantiate, targets
from dlrun.config.overrides import Overrides, apply_values, to_config
from dlrun.data.tree import as_tree
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.config.trust import TrustedNames

AUTO = "auto"
FRAMEWORKS = ("keras", "jax", "tensorflow", "torch")
KEPT = "default_"  # default_model and default_task, in an option of data


def choices_of_data(base: DictConfig, typed: Overrides) -> list[str]:
    """Choices that the chosen data set makes, unless the user or an experiment does.

    Args:
        base: The config of the chosen options.
        typed: What the user typed.

    Returns:
        Overrides, such as ``model=tabular``.
    """
    chosen = {str(choice.key_or_group) for choice in typed.choices}
    if "experiment" in chosen:
        return []
    defaults = {key: base.data.get(f"{KEPT}{key}") for key in ("model", "task")}
    return [f"{key}={option}" for key, option in defaults.items() if option and key not in chosen]


def find_task(
    base: DictConfig, typed: Overrides, names: TrustedNames, config_dir: Path | None
) -> None:
    """Replace ``task=auto`` by the task that fits the data, and record it; ``base`` is changed.

    Args:
        base: The config of the chosen options.
        typed: The values, which name the file and the target.
        names: What the user trusts.
        config_dir: The user's own options.

    Raises:
        DlrunError: If the data can't be read, or have no task.
    """
    task = base.choices.get("task")
    if task != AUTO:
        if "kind" in base.data and base.data.get("kind") is None and task in _kinds():
            base.data.kind = task
        return
    trial = copy.deepcopy(base)
    # The options of these are composed later: a key of theirs, such as
    # augmentation.zoom.height_factor, does not exist yet.
    later = {g.key.partition(".")[0] for g in GROUPS.values() if g.several or g.place} | {"task"}
    kept = [v for v in typed.values if str(v.key_or_group).partition(".")[0] not in later]
    values = replace(typed, values=kept, mistakes=list(typed.mistakes))
    apply_values(trial, values)
    config = to_config(trial, values)
    if trust.check(config, names) or "_target_" not in config.data:
        return  # reported when the config is checked
    tasks = _tasks(config.data)
    single = None in tasks
    parts: dict[str | None, Any] = {}
    for name, kind in tasks.items():
        option = compose_choices([f"task={kind}"], config_dir).task
        # Of several outputs, each has an activation of its own, so it is resolved here.
        parts[name] = OmegaConf.to_container(option, resolve=not single)
    found: dict[str, Any] = {}
    for key in ("loss", "metrics", "activation"):
        by_name = {name: part[key] for name, part in parts.items()}
        found[key] = as_tree(by_name)
    OmegaConf.update(base, "task", found, merge=True, force_add=True)
    if single:
        base.choices.task = tasks[None]
        if "kind" in base.data and base.data.get("kind") is None:
            base.data.kind = tasks[None]


def _tasks(data: Mapping[str, Any]) -> Mapping[str | None, str]:
    from dlrun.data.source import Source

    arguments = {key: value for key, value in data.items() if key not in GROUPS["data"].kept}
    before = {name for name in FRAMEWORKS if name in sys.modules}
    source = instantiate("data", arguments)
    if not isinstance(source, Source):
        raise DlrunError(
            f"task=auto: {data['_target_']} is no source that tells its task",
            hint="choose one of 'dlrun list task'",
        )
    tasks = source.tasks()
    # Keras would be on another backend, or the backend not be set up as it has to be.
    if early := next((n for n in FRAMEWORKS if n in sys.modules and n not in before), None):
        named = next((t for t in targets(data) if not t.startswith("dlrun.")), data["_target_"])
        raise DlrunError(
            f"task=auto: {named} imports {early}, and the task is found before the backend starts",
            hint=f"task={next(iter(tasks.values()))}, or import {early} elsewhere",
        )
    return tasks


def _kinds() -> Sequence[str]:
    from dlrun.data.targets import KINDS

    return KINDS

"""What other tools call a key or a range of values, and what it is called here."""

from __future__ import annotations

import re
from pathlib import Path

from dlrun.config.groups import GROUPS
from dlrun.config.options import config_dirs

# By the last part of the key: of Lightning, Hugging Face's Trainer, Hydra and W&B.
_KEYS = {
    "lr": "optimizer.learning_rate",
    "learning_rate_init": "optimizer.learning_rate",
    "max_epochs": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "num_train_epochs": "epochs",
    "bs": "batch_size",
    "train_batch_size": "batch_size",
    "per_device_train_batch_size": "batch_size",
    "random_seed": "seed",
    "random_state": "seed",
    "manual_seed": "seed",
    "output_dir": "runs_dir",
    "log_dir": "runs_dir",
    "dir": "runs_dir",  # hydra.run.dir, hydra.sweep.dir
    "logger": "tracker",
}
# Of Optuna and W&B; the braces take what stands in theirs.
_RANGES = {
    "uniform": "interval({})",
    "quniform": "interval({})",
    "suggest_float": "interval({})",
    "int_uniform": "interval({})",
    "randint": "interval({})",
    "suggest_int": "interval({})",
    "loguniform": "tag(log, interval({}))",
    "log_uniform": "tag(log, interval({}))",
    "log_uniform_values": "tag(log, interval({}))",
    "categorical": "choice({})",
    "choices": "choice({})",
    "suggest_categorical": "choice({})",
    "grid_search": "choice({})",
    "arange": "range({})",
}
_NULLS = ("=null", "=none", "=None", "=false", "=False")


def key_here(key: str, keys: list[str]) -> str | None:
    """The key of this config that another tool has as ``key``; None if none is known."""
    last = key.rpartition(".")[2]
    found = _KEYS.get(last, last if "." in key else None)
    return found if found in keys else None


def range_here(key: str, typed: str) -> str | None:
    """How a range is written that another tool has as a function, such as ``loguniform(...)``."""
    match = re.fullmatch(r"(?:\w+\.)*(\w+)\((.*)\)", typed.strip(), re.DOTALL)
    if match is None or (form := _RANGES.get(match[1].lower())) is None:
        return None
    return f"'{key}={form.format(match[2].strip('[]() '))}'"


def without(near: str | None, value: str) -> str | None:
    """How a named part is removed that was to be null, such as ``~callbacks.early_stopping``."""
    group, _, name = (near or "").partition(".")
    if value in _NULLS and name and "." not in name and group in GROUPS and GROUPS[group].several:
        return f"~{near}"
    return None


def options_with(key: str, config_dir: Path | None) -> str | None:
    """Which options of a key's group have it, as a hint; None if none has.

    Args:
        key: A dotted key.
        config_dir: As for :func:`dlrun.config.options.config_dirs`.
    """
    groups = [group for group in GROUPS.values() if key.startswith(f"{group.key}.")]
    if not groups:
        return None
    group = max(groups, key=lambda group: len(group.key))  # task.metrics rather than task
    part = key[len(group.key) + 1 :].partition(".")[0]
    if not re.fullmatch(r"\w+", part):
        return None
    folders = [folder / group.name for folder in reversed(config_dirs(config_dir))]  # own ones last
    paths = [path for folder in folders for path in folder.glob("*.yaml")]
    if group.several:
        return f"+{group.name}={part} adds it" if part in {path.stem for path in paths} else None
    has = re.compile(rf"^{part}\s*:", re.MULTILINE)
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    found = {option for option, text in texts.items() if has.search(text)}
    if not found:
        return None
    names = sorted(found)
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return (
        f"{group.name}={listed} {'has' if len(names) == 1 else 'have'} it; in a sweep of several,"
        f" '{key}=where({group.name}={names[0]},...)'"
    )

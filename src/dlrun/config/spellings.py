"""What other tools call a key or a range of values, and what it is called here."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from dlrun.config.groups import GROUPS
from dlrun.config.options import config_dirs

# Of Keras, Lightning, Hugging Face's Trainer and datasets, pandas, scikit-learn, Hydra and W&B, by
# the last part of the key; with a group, only there. What it is here: a key, or all that is typed,
# in which the braces take the value.
_KEYS = {
    "lr": "optimizer.learning_rate",
    "base_lr": "optimizer.learning_rate",
    "learning_rate_init": "optimizer.learning_rate",
    "max_grad_norm": "optimizer.clipnorm",
    "gradient_clip_val": "optimizer.clipnorm",
    "clip_grad_norm": "optimizer.clipnorm",
    "grad_clip": "optimizer.clipnorm",
    "adam_beta1": "optimizer.beta_1",
    "adam_beta2": "optimizer.beta_2",
    "adam_epsilon": "optimizer.epsilon",
    "accumulate_grad_batches": "+optimizer.gradient_accumulation_steps={}",
    "gradient_accumulation_steps": "+optimizer.gradient_accumulation_steps={}",
    "optimizer.name": "optimizer",
    "optimizer.type": "optimizer",
    "model.hidden_size": "model.units",
    "model.hidden_units": "model.units",
    "hidden_size": "model.units",
    "hidden_dim": "model.units",
    "hidden_units": "model.units",
    "num_layers": "model.blocks",
    "n_layers": "model.blocks",
    "layers": "model.blocks",
    "depth": "model.blocks",
    "model.name": "model",
    "model.type": "model",
    "loss.name": "loss",
    "loss.type": "loss",
    "dropout_rate": "model.dropout",
    "lr_scheduler": "schedule",
    "lr_scheduler_type": "schedule",
    "warmup_steps": "schedule=warmup_cosine schedule.unit=steps schedule.warmup={}",
    "max_epochs": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "num_train_epochs": "epochs",
    "iterations": "max_steps",
    "max_time": "+callbacks=max_time callbacks.max_time.limit={}",
    "limit_train_batches": "steps_per_epoch",
    "bs": "batch_size",
    "train_batch_size": "batch_size",
    "per_device_train_batch_size": "batch_size",
    "eval_steps": "validate_every",
    "val_check_interval": "validate_every",
    "check_val_every_n_epoch": "validate_every={}e",
    "validation_freq": "validate_every={}e",
    "val_freq": "validate_every",
    "eval_freq": "validate_every",
    "save_steps": "callbacks.checkpoint.every_steps",
    "save_every": "callbacks.checkpoint.every",
    "save_freq": "callbacks.checkpoint.every",
    "every_n_epochs": "callbacks.checkpoint.every={}e",
    "save_total_limit": "callbacks.checkpoint.keep",
    "save_top_k": "callbacks.checkpoint.keep",
    "max_to_keep": "callbacks.checkpoint.keep",
    "logging_steps": "+callbacks=batch_log callbacks.batch_log.every={}",
    "log_every_n_steps": "+callbacks=batch_log callbacks.batch_log.every={}",
    "every_n_train_steps": "callbacks.checkpoint.every_steps",
    "patience": "callbacks.early_stopping.patience",
    "early_stopping_patience": "callbacks.early_stopping.patience",
    "min_delta": "callbacks.early_stopping.min_delta",
    "metric_for_best_model": "task.monitor",
    "fast_dev_run": "smoke",
    "seed_everything": "seed",
    "random_seed": "seed",
    "random_state": "seed",
    "manual_seed": "seed",
    "data.random_state": "data.seed",
    "accelerator": "device",
    "framework": "backend",
    "use_cpu": "device=cpu",
    "no_cuda": "device=cpu",
    "devices": "device.count",
    "gpus": "device.count",
    "num_gpus": "device.count",
    "strategy": "distribution=data_parallel",
    "fp16": "precision=mixed_float16",
    "bf16": "precision=mixed_bfloat16",
    "amp": "precision=mixed_bfloat16",
    "use_amp": "precision=mixed_bfloat16",
    "torch_compile": "loop.jit_compile",
    "output_dir": "runs_dir",
    "default_root_dir": "runs_dir",
    "log_dir": "runs_dir",
    "logdir": "runs_dir",
    "logging_dir": "runs_dir",
    "dir": "runs_dir",  # hydra.run.dir, hydra.sweep.dir
    "run_name": "name",
    "experiment_name": "name",
    "logger": "tracker",
    "report_to": "tracker",
    "wandb": "tracker=wandb",
    "mlflow": "tracker=mlflow",
    "criterion": "loss",
    "loss_fn": "loss",
    "data.sep": "data.delimiter",
    "data.na_values": "data.missing",
    "data.nrows": "data.limit",
    "data.max_samples": "data.limit",
    "data.max_train_samples": "data.limit",
    "data.filepath_or_buffer": "data.path",
    "data.file": "data.path",
    "data.data_files": "data.path",
    "data.train_file": "data.path",
    "data.data_dir": "data.path",
    "data.directory": "data.path",
    "data.root": "data.path",
    "data.y": "data.target",
    "data.y_col": "data.target",
    "data.label": "data.target",
    "data.labels": "data.target",
    "data.label_column": "data.target",
    "data.label_column_name": "data.target",
    "data.x_col": "data.image",
    "data.sample_weight": "data.weight",
    "val_size": "data.validation",
    "val_split": "data.validation",
    "validation_split": "data.validation",
    "test_size": "data.test",
    "test_split": "data.test",
    "data.val": "data.validation",
    "data.stratify": "data.split=stratified",
    "data.group": "data.split=group data.by={}",
    "data.groups": "data.split=group data.by={}",
    "data.cv": "data.folds",
    "data.n_splits": "data.folds",
    "data.grayscale": "data.channels=1",
    "data.index_col": "data.drop=[{}]",
    "data.exclude": "data.drop",
    "data.drop_columns": "data.drop",
    "data.image_size": "data.size",
    "data.img_size": "data.size",
    "data.input_size": "data.size",
    "data.target_size": "data.size",
    "data.crop_to_aspect_ratio": "data.resize=crop",
    "data.pad_to_aspect_ratio": "data.resize=fit_pad",
    "data.class_names": "data.classes",
    "data.max_length": "data.length",
    "data.dataset": "data.name",
    "data.dataset_name": "data.name",
    "data.config_name": "data.config",
    "data.dataset_config_name": "data.config",
}
# Where other tools keep what is a part here, or stands by itself.
_PARTS = {
    "dataset": "data",
    "datamodule": "data",
    "dm": "data",
    "optim": "optimizer",
    "net": "model",
    "network": "model",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "lr_schedule": "schedule",
}
_PLATEAU = ("factor", "patience", "min_lr", "cooldown", "min_delta", "monitor", "mode")
_GATHERED = (
    "batches are gathered beside the training, without processes; 'dlrun list feed' has the ways"
)
_FROM_DATA = "a model takes it from the data set; 'dlrun data' shows what that has"
_KEPT = "the best epoch and the last two are kept; callbacks.checkpoint.keep=N keeps more"
_RESTORED = "the best epoch by task.monitor is restored at the end of a run by itself"
_RESUMED = "dlrun resume RUN continues a run; init_from=RUN starts from its best weights"
_SCHEDULED = "schedule=NAME, of 'dlrun list schedule', or +callbacks=reduce_lr_on_plateau"
_SHUFFLED = "the training samples are shuffled in each epoch, by the seed and the epoch alone"
# What needs no key, or a choice, by the last part: what to know, as a hint.
_ANSWERS = {
    "num_workers": _GATHERED,
    "workers": _GATHERED,
    "prefetch": _GATHERED,
    "pin_memory": _GATHERED,
    "persistent_workers": _GATHERED,
    "num_classes": _FROM_DATA,
    "n_classes": _FROM_DATA,
    "num_labels": _FROM_DATA,
    "input_shape": _FROM_DATA,
    "input_dim": _FROM_DATA,
    "input_size": _FROM_DATA,
    "output_dim": _FROM_DATA,
    "save_best_only": _KEPT,
    "save_last": _KEPT,
    "save_weights_only": _KEPT,
    "load_best_model_at_end": _RESTORED,
    "restore_best_weights": _RESTORED,
    "shuffle": _SHUFFLED,
    "save_strategy": "checkpoint.every takes steps, 500; epochs, 2e; or a time, 10min",
    "eval_strategy": "validate_every takes steps, 500; epochs, 2e; or a time, 10min",
    "evaluation_strategy": "validate_every takes steps, 500; epochs, 2e; or a time, 10min",
    "warmup_ratio": "schedule=warmup_cosine schedule.warmup=0.5: half an epoch",
    "warmup_epochs": "schedule=warmup_cosine schedule.warmup=0.5: half an epoch",
    "keep": "of checkpoints: callbacks.checkpoint.keep=N; of runs: dlrun sweep --keep",
    "verbose": "dlrun train --quiet prints the result alone",
    "pretrained": "init_from=RUN starts from a run's weights; model=keras_application has its own",
    "ckpt_path": _RESUMED,
    "resume_from_checkpoint": _RESUMED,
    "resume": _RESUMED,
}
# Options and values of theirs.
_VALUES = {
    "cuda": "gpu",
    "mps": "gpu",
    "tf": "tensorflow",
    "acc": "accuracy",
    "mse": "mean_squared_error",
    "bce": "binary_crossentropy",
    "cross_entropy": "sparse_categorical_crossentropy",
    "adamw_torch": "adamw",
    "32": "float32",
    "16": "mixed_float16",
    "fp16": "mixed_float16",
    "16-mixed": "mixed_float16",
    "bf16": "mixed_bfloat16",
    "bf16-mixed": "mixed_bfloat16",
}
# Data sets that are a name here, by the option that has them.
_DATA_SETS = {
    "keras": ("fashion_mnist", "cifar10", "cifar100", "imdb", "reuters", "boston_housing"),
    "sklearn": ("digits", "iris", "wine", "breast_cancer", "diabetes", "california_housing"),
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


def key_here(key: str, value: str, keys: Collection[str], *, in_group: bool = False) -> str | None:
    """What is typed in this config where another tool has ``key``; None if nothing is known.

    Args:
        key: As typed.
        value: With its ``=``; empty without one.
        keys: Those of the config.
        in_group: Only what the word means in the group of the key.
    """
    form = _form(key, in_group=in_group)
    if form is None:
        return None
    typed = form.format(value.removeprefix("=")) if "=" in form else form + value
    first = form.partition("=")[0]
    return typed if first in keys or first in GROUPS or first.startswith("+") else None


def answer(key: str, keys: Collection[str], config_dir: Path | None) -> str | None:
    """What to know of a key that this config has nothing for, as a hint; None if nothing is known.

    Args:
        key: A dotted key that the config does not have.
        keys: Those of the config.
        config_dir: As for :func:`dlrun.config.options.config_dirs`.
    """
    parent, _, last = key.rpartition(".")
    here = (_form(key) or key).partition("=")[0]
    if "." in here:
        places = [here]
    else:  # an argument without its part
        places = [f"{group}.{here}" for group in ("model", "schedule", "optimizer", "data")]
    if last in _ANSWERS:
        places = [key]
    for place in places:
        if hint := options_with(place, keys, config_dir):
            return hint if place == key else f"it is {place} here; {hint}"
    return _ANSWERS.get(last) or (
        _SCHEDULED if _PARTS.get(parent.rpartition(".")[2]) == "schedule" else None
    )


def value_here(value: str, options: Collection[str]) -> str | None:
    """The option that another tool calls ``value``; None if none is known."""
    found = _VALUES.get(value.lower())
    return found if found in options else None


def data_set_here(name: str) -> str | None:
    """What is typed for a data set that ``data=`` was to have as an option; None if unknown."""
    option = next((option for option, names in _DATA_SETS.items() if name in names), None)
    return f"data={option} data.name={name}" if option else None


def _form(key: str, *, in_group: bool = False) -> str | None:
    parents, _, last = key.rpartition(".")
    first = parents.rpartition(".")[2]
    group = _PARTS.get(first, first)
    if not parents and last in _PARTS:
        return _PARTS[last]
    if form := _KEYS.get(f"{group}.{last}"):
        return form
    if group == "schedule" != first and last in _PLATEAU:
        return f"+callbacks=reduce_lr_on_plateau callbacks.reduce_lr_on_plateau.{last}={{}}"
    form = _KEYS.get(last, "")
    if form and (not in_group or form.startswith(f"{group}.")):
        return form
    return f"{group}.{last}" if group != first and not in_group else None


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


def options_with(key: str, keys: Collection[str], config_dir: Path | None) -> str | None:
    """Which options of a key's group have it, or what it is here, as a hint; None if none has.

    Args:
        key: A dotted key that the config does not have.
        keys: Those of the config.
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
        adds = f"{group.key}.{part}" not in keys and part in {path.stem for path in paths}
        return f"+{group.name}={part} adds it" if adds else None
    has = re.compile(rf"^{part}\s*:", re.MULTILINE)
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    found = {option for option, text in texts.items() if has.search(text)}
    if not found:
        here = _form(key, in_group=True)
        hint = options_with(here, keys, config_dir) if here else None
        return f"it is {here} here; {hint}" if hint else None
    names = sorted(found)
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return (
        f"{group.name}={listed} {'has' if len(names) == 1 else 'have'} it; in a sweep of several,"
        f" '{key}=where({group.name}={names[0]},...)'"
    )

"""Limits that types can't express: ranges, and monitors that must be logged."""

import math
import re
from collections.abc import Mapping
from typing import Any

from dlrun import distribution
from dlrun.config.intervals import wrong_intervals
from dlrun.config.outputs import logged_metrics, wrong_outputs
from dlrun.config.problem import Problem, Problems
from dlrun.config.schema import Config, Distribution
from dlrun.errors import shorten
from dlrun.runs.logged_names import metric_of
from dlrun.system.interval import MOST

# Keras' dtype policies; quantized ones are for inference and are applied differently.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64")

# How exact matrix products of float32 are on a GPU or TPU.
MATMUL_PRECISIONS = ("default", "high", "highest")

# The keys whose value is one of a few.
CHOICES = {
    "precision": PRECISIONS,
    "matmul_precision": MATMUL_PRECISIONS,
    "device.kind": ("auto", "cpu", "gpu", "tpu"),
    "distribution.kind": distribution.names(),
    "task.mode": ("min", "max", "auto"),
}
MAX_SEED = 2**32 - 1  # the limit of NumPy's legacy seeding

# The least and the greatest value of each integer; None where there is no greatest.
INTEGERS: dict[str, tuple[int, int | None]] = {
    "batch_size": (1, None),
    "steps_per_epoch": (1, None),
    "max_steps": (1, MOST),
    "seed": (0, MAX_SEED),
    "device.index": (0, None),
    "device.count": (1, None),
    "data.limit": (1, None),
    "data.validation_samples": (0, None),
    "data.train_samples": (1, None),
    "data.test_samples": (1, None),
}


def metric_names(config: Config) -> list[str]:
    """The names that an epoch logs; ``monitor`` must be one of them."""
    names = list(logged_metrics(config.task))
    if 0 not in (config.data.get("validation_samples"), config.data.get("validation")):
        names += [f"val_{name}" for name in names]
    return names


def broken_limits(config: Config) -> Problems:
    """Yield each value outside its limits."""
    yield from _wrong_length(config)
    yield from wrong_intervals(config)
    yield from _wrong_integers(config)
    yield from _wrong_loop(config.loop)
    yield from _wrong_choices(config)
    yield from _distribution_problems(config)
    if config.name is not None and not re.fullmatch(r"\w[\w.-]*", config.name):
        yield Problem(
            "name", f"must be letters, digits, '.', '_' and '-', got {shorten(repr(config.name))}"
        )
    if any(wrong_outputs(config.task)):
        return  # the logged names are unknown
    yield from _unknown_mode(config)
    yield from _unlogged_monitors(config)


def _wrong_length(config: Config) -> Problems:
    """What is wrong with the length of the run."""
    epochs = config.epochs
    if epochs is None:
        if config.max_steps is None:
            text = "the run has no length: give epochs or max_steps; max_time ends it earlier"
            yield Problem("epochs", text)
    elif not math.isfinite(epochs) or epochs <= 0:
        yield Problem("epochs", f"must be a number above 0, got {epochs}")
    elif epochs > MOST:
        yield Problem("epochs", f"must be at most {MOST:,}, got {epochs}")


def _wrong_integers(config: Config) -> Problems:
    for key, (low, high) in INTEGERS.items():
        value = _get(config, key)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        group, _, name = key.partition(".")
        is_set = group != "data" or name in config.data
        if not is_integer and is_set and (value is not None or key == "data.validation_samples"):
            yield Problem(key, f"expected an integer, got {shorten(repr(value))}")
            continue
        too_low = isinstance(value, int) and value < low
        if too_low or (isinstance(value, int) and high is not None and value > high):
            limit = f"at least {low}" if too_low else f"at most {high}"
            yield Problem(key, f"must be {limit}, got {value}")


def _wrong_loop(loop: Mapping[str, Any]) -> Problems:
    """What is wrong with the keys that dlrun's loops share."""
    steps = loop.get("steps_per_execution")
    if isinstance(steps, int) and (isinstance(steps, bool) or steps < 1):
        yield Problem("loop.steps_per_execution", f"must be at least 1, got {steps}")
    elif isinstance(steps, str | float) and steps != "auto":
        yield Problem("loop.steps_per_execution", f"must be an integer or auto, got {steps}")
    compiled = loop.get("jit_compile", "auto")
    if not isinstance(compiled, bool) and compiled != "auto":
        yield Problem("loop.jit_compile", f"must be auto, true or false, got {compiled}")
    placed = loop.get("data_on_device", "auto")
    if not isinstance(placed, bool) and placed != "auto":
        yield Problem("loop.data_on_device", f"must be auto, true or false, got {placed}")
    if placed is True and loop.get("stepper") is not None:
        yield Problem("loop.data_on_device", "a stepper of your own gathers from memory: false")


def _wrong_choices(config: Config) -> Problems:
    """The keys whose value is not one of a few."""
    for key, options in CHOICES.items():
        if (value := _get(config, key)) not in options:
            yield Problem(
                key, f"must be one of {', '.join(options)}, got {shorten(repr(value))}", options
            )


def _distribution_problems(config: Config) -> Problems:
    """What does not fit a run on several devices."""
    chosen, count = config.distribution, config.device.count
    if count > 1 and chosen.kind == distribution.NONE:
        text = f"{count} devices need a distribution, such as distribution=data_parallel"
        yield Problem("device.count", text)
    elif count > 1 and config.device.index is not None:
        yield Problem("device.index", f"names one device, but device.count={count}: leave one out")
    if not 1 <= chosen.timeout <= 86_400:
        text = f"must be from 1 to 86400 seconds, got {chosen.timeout:g}"
        yield Problem("distribution.timeout", text)
    for name in distribution.names()[1:]:
        strategy = distribution.strategy(name)
        if name != chosen.kind:
            for key in strategy.KEYS:
                if getattr(chosen, key) != getattr(Distribution, key):
                    yield Problem(f"distribution.{key}", f"goes with distribution={name}")
            continue
        for key, text in strategy.problems(vars(chosen), count):
            yield Problem(f"distribution.{key}", text)
        copies = strategy.copies(count, chosen.replicas)
        if config.batch_size < copies:
            text = f"must be at least {copies}, a sample for each copy of the model, got"
            yield Problem("batch_size", f"{text} {config.batch_size}")


def _unknown_mode(config: Config) -> Problems:
    names = metric_names(config)
    if config.task.mode == "auto" and metric_of(config.task.monitor, names) in names:
        yield Problem(
            "task.mode",
            f"must be min or max: auto does not know {shorten(repr(config.task.monitor))}",
        )


def _unlogged_monitors(config: Config) -> Problems:
    names = metric_names(config)
    monitors = {"task.monitor": config.task.monitor}
    for name, callback in config.callbacks.items():
        # A callback that follows task.monitor repeats its mistake, which is reported once.
        if isinstance(callback, dict) and callback.get("monitor") not in (
            None,
            config.task.monitor,
        ):
            monitors[f"callbacks.{name}.monitor"] = callback["monitor"]
    for key, monitor in monitors.items():
        if metric_of(str(monitor), names) not in names:
            without_split = str(monitor).removeprefix("val_") in names
            reason = " without a validation split" if without_split else ""
            message = f"nothing logs {shorten(repr(monitor))}{reason}; there are {', '.join(names)}"
            yield Problem(key, message, tuple(names))


def _get(config: Config, key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else getattr(node, part)
    return node

"""Times and intervals that types can't express: of validation, of checkpoints, of a whole run."""

from collections.abc import Callable, Mapping
from typing import Any

from dlrun.config.problem import Problem, Problems
from dlrun.config.schema import Config
from dlrun.system.duration import parse_seconds
from dlrun.system.interval import parse_every

CHECKPOINT = "dlrun.callbacks.checkpoint.Checkpoint"
MAX_TIME = "dlrun.callbacks.max_time.MaxTime"


def wrong_intervals(config: Config) -> Problems:
    """Yield each time and interval that is none, or goes with no other key of the config."""
    yield from _wrong_validation(config)
    for name, spec in config.callbacks.items():
        target = spec.get("_target_") if isinstance(spec, Mapping) else None
        if target == CHECKPOINT:
            yield from _wrong_checkpoints(f"callbacks.{name}", spec)
        elif target == MAX_TIME:
            yield from _unread(f"callbacks.{name}.limit", spec.get("limit"), parse_seconds)


def _wrong_validation(config: Config) -> Problems:
    if config.validate_every is None:
        return
    if wrong := list(_unread("validate_every", config.validate_every, parse_every)):
        yield from wrong
        return
    every = parse_every(config.validate_every)
    if every.unit != "seconds":
        return
    if every.amount < 1:
        yield Problem("validate_every", f"must be at least 1s, got {config.validate_every}")
    if not str(config.loop.get("_target_")).startswith("dlrun.loops."):
        text = "a time needs a loop of dlrun's: your own asks once how many epochs there are"
        yield Problem("validate_every", text)


def _wrong_checkpoints(key: str, spec: Mapping[str, Any]) -> Problems:
    every, steps, seconds = (spec.get(f"every{unit}") for unit in ("", "_steps", "_seconds"))
    if every is not None:
        yield from _unread(f"{key}.every", every, parse_every)
        for name, given in (("every_steps", steps), ("every_seconds", seconds)):
            if given is not None:
                yield Problem(f"{key}.every", f"give every or {name}, not both")
    for name, number in (("every_steps", steps), ("keep", spec.get("keep"))):
        is_count = isinstance(number, int) and not isinstance(number, bool) and number >= 1
        if number is not None and not is_count:
            yield Problem(f"{key}.{name}", f"must be an integer of at least 1, got {number!r:.80}")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and seconds >= 0):
        text = f"must be a number of seconds, 0 to save each epoch, got {seconds!r:.80}"
        yield Problem(f"{key}.every_seconds", text)


def _unread(key: str, value: Any, parse: Callable[[Any], Any]) -> Problems:
    """The problem of a value that can't be parsed."""
    try:
        parse(value)
    except ValueError as error:
        yield Problem(key, str(error))

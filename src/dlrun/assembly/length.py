"""The length of a run, from its config."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.config.schema import Config
from dlrun.data.length import Length, length_of
from dlrun.errors import DlrunError
from dlrun.system.duration import as_duration, parse_seconds
from dlrun.system.interval import parse_every

_MORE = re.compile(r"(epochs|max_steps)=\+(\d{1,12}(?:\.\d{1,12})?)")
_MORE_TIME = re.compile(r"max_time=\+(.+)")
_NUMBER = re.compile(r"\d+(\.\d+)?")


def run_length(config: Config, given: int) -> Length:
    """The length of a run.

    Args:
        config: The run's config.
        given: Samples of an epoch as ``epochs`` counts them.
    """
    every = config.validate_every
    return length_of(
        given,
        config.batch_size,
        epochs=config.epochs,
        max_steps=config.max_steps,
        validate_every=None if every is None else parse_every(every),
    )


def run_end(config: Config, known: Length | None) -> float:
    """Where a run ends, in samples; in epochs where its length is not known.

    Args:
        config: The run's config.
        known: A length that the run has had; None where an older version recorded none.
    """
    if known is not None:
        return run_length(config, known.given).total
    return math.inf if config.epochs is None else config.epochs


def with_more(
    overrides: Sequence[str], recorded: Mapping[str, Any], *, restarts: bool = False
) -> list[str]:
    """The overrides of a resumed run, with ``epochs=+5`` as five more than its config has.

    ``max_steps=+500`` and ``max_time=+2h`` are understood the same way.

    Args:
        overrides: As typed.
        recorded: The run's config as it was.
        restarts: Whether ``dlrun launch`` may start the command again, which would add again.

    Raises:
        DlrunError: If the run's length is not counted so, or the command may be started again.
    """
    found = []
    for override in overrides:
        time, more = _MORE_TIME.fullmatch(override), _MORE.fullmatch(override)
        if restarts and (time or more):
            text = "dlrun launch may start it again, and would add again"
            whole = f"{override.partition('=')[0]}={'2h' if time else 'N'}, of the whole run"
            raise DlrunError(f"{override}: {text}", hint=whole)
        if time:
            found.append(f"max_time={_time(override, time[1], recorded)}")
            continue
        if more is None:
            found.append(override)
            continue
        key, other = more[1], "max_steps" if more[1] == "epochs" else "epochs"
        if (before := recorded.get(key)) is None:
            raise DlrunError(
                f"{override}: the run's length is {other}={recorded.get(other)}", hint=f"{other}=+N"
            )
        if not isinstance(before, int | float):  # a damaged record, which is refused later
            return list(overrides)
        count = before + (float(more[2]) if "." in more[2] else int(more[2]))
        found.append(f"{key}={count}")
    return found


def _time(override: str, more: str, recorded: Mapping[str, Any]) -> str:
    """The limit of a resumed run that may take some more time.

    Raises:
        DlrunError: If the run has no limit, or this is no duration.
    """
    limit = (recorded["callbacks"].get("max_time") or {}).get("limit")
    if limit is None:
        hint = f"max_time={more}: what it may take from now on"
        raise DlrunError(f"{override}: the run has no max_time", hint=hint)
    try:
        # What Hydra reads as a number is one here, too: max_time=90 is 90 seconds.
        seconds = float(more) if _NUMBER.fullmatch(more) else more
        return as_duration(parse_seconds(limit) + parse_seconds(seconds))
    except ValueError as error:
        raise DlrunError(f"{override}: {error}") from error


def with_recorded_length(config: Config, recorded: Mapping[str, Any]) -> Config:
    """The config of a resumed run with the length that it had, from its recorded config."""
    length = {"epochs": recorded["epochs"], "max_steps": recorded.get("max_steps")}
    return dataclasses.replace(config, **length)

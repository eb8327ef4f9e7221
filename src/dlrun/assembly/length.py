"""The length of a run, from its config."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from dlrun.config.schema import Config
from dlrun.data.length import Length, length_of
from dlrun.system.interval import parse_every


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


def with_recorded_length(config: Config, recorded: Mapping[str, Any]) -> Config:
    """The config of a resumed run with the length that it had, from its recorded config."""
    length = {"epochs": recorded["epochs"], "max_steps": recorded.get("max_steps")}
    return dataclasses.replace(config, **length)

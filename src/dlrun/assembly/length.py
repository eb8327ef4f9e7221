"""The length of a run, from its config."""

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

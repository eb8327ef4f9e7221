"""Build the config's training loop and callbacks.

Import it after the backend has started.
"""

import functools
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import keras

from dlrun.callbacks.monitor import watch_finite
from dlrun.config.groups import without_kept
from dlrun.config.instantiate import fill_placeholders, instantiate, partial
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.feeds import GATHERED, Feed
from dlrun.loops.training import History, Training

LoopCall = Callable[[Training], History]


def build_callbacks(
    config: Config, run_dir: Path, *, progress: bool = True
) -> dict[str, keras.callbacks.Callback]:
    """Build the callbacks by name, in the config's order.

    Args:
        config: The run's config.
        run_dir: The run's directory, which some of them write to.
        progress: Whether to build the progress callback.
    """
    return {
        name: watch_finite(
            instantiate(f"callbacks.{name}", fill_placeholders(spec, run_dir=str(run_dir)))
        )
        for name, spec in config.callbacks.items()
        if progress or name != "progress"
    }


def build_loop(config: Config, feed: Feed) -> LoopCall:
    """Build the loop, a function of a :class:`dlrun.loops.training.Training`.

    A loop without a ``feed`` argument gathers the batches itself. One that passes any keywords on
    gets a feed that is chosen.

    Args:
        config: The run's config.
        feed: Makes a source for ``fit()`` from batches.

    Raises:
        DlrunError: If the loop takes no Training.
    """
    loop = partial("loop", without_kept("loop", config.loop))
    parameters = signature(loop).parameters
    if "training" not in parameters:
        raise DlrunError(
            f"loop: {config.loop['_target_']} takes no 'training'",
            hint="def loop(training, ...): a dlrun.loops.training.Training has model, batches and"
            " callbacks",
        )
    passes_on = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    is_chosen = config.feed.get("_target_") not in GATHERED
    takes_feed = "feed" in parameters or (passes_on and is_chosen)
    return functools.partial(loop, feed=feed) if takes_feed else loop


def check_loop(loop: LoopCall, model: keras.Model, *, is_weighted: bool) -> None:
    """Let the loop refuse what it can't train; a user's own has no such check.

    Args:
        loop: From :func:`build_loop`.
        model: A compiled model.
        is_weighted: Whether the training samples have weights.

    Raises:
        DlrunError: If it can't train the model.
    """
    if isinstance(loop, functools.partial) and (check := getattr(loop.func, "check", None)):
        check(model, is_weighted=is_weighted, options=loop.keywords)

"""The call of a run's loop, and the callbacks of dlrun's own around those of the config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlrun.assembly.companions import agreed, together
from dlrun.callbacks.checkpoint import Checkpoint
from dlrun.callbacks.protocol import run_callback
from dlrun.config.schema import Config
from dlrun.data.batches import Batches
from dlrun.loops.hooks import BATCH_HOOKS, overrides, takes_tensors
from dlrun.loops.training import History, Training
from dlrun.system import ranks
from dlrun.training.assembled_run import AssembledRun
from dlrun.training.hooks.finite import StopOnNonFinite
from dlrun.training.hooks.learning_rate import LogLearningRate
from dlrun.training.hooks.monitor_finite import MonitorFinite
from dlrun.training.hooks.restore import Restore
from dlrun.training.hooks.slow_steps import WarnOfSlowSteps
from dlrun.training.request import RunRequest
from dlrun.training.speeds import fastest_elsewhere


def train(
    run: AssembledRun, request: RunRequest, restore: Restore, tracked: Sequence[Any] = ()
) -> History:
    """Call the loop, or only the hooks of the callbacks if no epoch is left.

    Args:
        run: From :func:`dlrun.training.assembled_run.assemble`.
        request: The run's request.
        restore: From :func:`dlrun.training.assembled_run.connect`.
        tracked: The callbacks that hand values to the trackers.

    Returns:
        The logs of each epoch, by name, without the epochs before a resumption.
    """
    config, resumption, data = request.config, request.resumption, run.data
    hooks = [*_checkpoint_last(run.callbacks), restore]
    with _close_at_end(run):
        if resumption and (resumption.stopped or resumption.at.epochs >= run.length.epochs):
            return _end_at_once(run.model, hooks)
        batches = Batches(data, data.train, config.batch_size, seed=config.seed)
        validation = Batches(data, data.validation, config.batch_size)
        hooks = [*_own_hooks(run, config), *tracked, *hooks]
        if run.profile is not None:
            hooks = _profiled(run, batches, hooks, request.destination.path)
        with together(run.model, config, batches, validation) as others:
            return run.loop(
                Training(
                    model=run.model,
                    train=batches,
                    validation=validation if len(data.validation) else None,
                    epochs=run.length.epochs,
                    seed=config.seed,
                    callbacks=[*hooks, *others],
                    backend=run.backend,
                    initial_epoch=resumption.at.epochs if resumption else 0,
                    initial_step=resumption.at.steps if resumption else 0,
                    agree=agreed(config),
                )
            )


def _own_hooks(run: AssembledRun, config: Config) -> list[Any]:
    """The callbacks of every run, in the order that they are called in."""
    other = fastest_elsewhere(config)
    return [
        run.interruption,
        run.timing,
        *([run.pace] if run.pace else []),
        _stop_on_non_finite(run, config),
        MonitorFinite(run.monitor),
        *([WarnOfSlowSteps(config.backend.name, other)] if other else []),
        *([run.pruning] if run.pruning else []),
        LogLearningRate(),
    ]


def _stop_on_non_finite(run: AssembledRun, config: Config) -> StopOnNonFinite:
    """The callback that reads the losses, as seldom as the run allows."""
    callbacks = run.callbacks.values()
    # A step, loop or callback of the user's may log the loss of the batch alone.
    own = [config.loop.get(key) for key in ("step", "stepper")]
    own += [c for c in callbacks if overrides(c, *BATCH_HOOKS) and not takes_tensors(c)]
    sources = [config.loop["_target_"], type(run.model).train_step.__module__]
    is_mean = not any(own) and all(name.startswith(("keras.", "dlrun.")) for name in sources)
    stop = StopOnNonFinite(is_mean=is_mean, is_alone=ranks.current() is None)
    for callback in callbacks:
        if isinstance(callback, Checkpoint):
            callback.check = stop.check
    return stop


def _profiled(
    run: AssembledRun, batches: Batches, hooks: Sequence[Any], directory: Path
) -> list[Any]:
    """The callbacks with the profile first, which measures the others and the batches."""
    run.profile.watch(
        batches=batches,
        # The clock waits for the steps of an epoch, which is their time.
        callbacks=[hook for hook in hooks if hook is not run.timing],
        checkpoint=Checkpoint,
        backend=run.backend,
        directory=directory,
    )
    return [run.profile, *hooks]


@contextmanager
def _close_at_end(run: AssembledRun) -> Iterator[None]:
    """Close the callbacks' files, however training ends."""
    try:
        yield
    finally:
        for callback in (*run.callbacks.values(), *([] if run.profile is None else [run.profile])):
            run_callback(callback).close()


def _end_at_once(model: Any, callbacks: Sequence[Any]) -> History:
    """Call the hooks of the callbacks that belong to the end of training, such as plotting."""
    import keras

    hooks = keras.callbacks.CallbackList(callbacks, model=model)
    hooks.on_train_begin()
    hooks.on_train_end()
    return {}


def _checkpoint_last(callbacks: Mapping[str, Any]) -> list[Any]:
    """The callbacks in order, with the checkpoint last: it saves the decisions of the others."""
    return sorted(callbacks.values(), key=lambda callback: isinstance(callback, Checkpoint))

"""The live objects of one run, built from its config and connected to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.assembly.check_exports import check_exports
from dlrun.assembly.check_inputs import match_inputs
from dlrun.assembly.check_metrics import check_monitors
from dlrun.assembly.check_outputs import data_may_change
from dlrun.assembly.companions import agreed
from dlrun.assembly.compile import compile_model
from dlrun.assembly.length import run_length
from dlrun.assembly.loop import LoopCall, build_callbacks, build_loop, check_loop
from dlrun.assembly.model import build_model
from dlrun.assembly.schedule import check_callbacks, check_same_schedule
from dlrun.assembly.start import Session
from dlrun.assembly.trackers import build_trackers
from dlrun.assembly.weights import weigh
from dlrun.backends import TrainingBackend, require_gpu, training_module
from dlrun.callbacks.checkpoint import Checkpoint
from dlrun.callbacks.protocol import RunCallback, run_callback
from dlrun.config.instantiate import instantiate
from dlrun.config.schema import Config
from dlrun.data.dataset import Dataset
from dlrun.data.length import ClockedLength, Length
from dlrun.errors import DlrunError
from dlrun.feeds import Feed
from dlrun.trackers.protocol import Tracker
from dlrun.training import record
from dlrun.training.hooks.epoch_hook import EpochHook
from dlrun.training.hooks.interruption import Interruption
from dlrun.training.hooks.pace import Pace
from dlrun.training.hooks.restore import Restore
from dlrun.training.hooks.timing import Timing
from dlrun.training.initial_weights import assign_initial_weights
from dlrun.training.request import RunRequest
from dlrun.training.resumption import restore_training_state


@dataclass(frozen=True)
class AssembledRun:
    """The objects of a run.

    Args:
        data: The data set.
        backend: The backend in use.
        device: The device in use, as ``kind:index``.
        model: The compiled model, with its initial values.
        logged: The names of the values that an epoch logs, without those of validation.
        feed: Turns batches into a source for ``fit()``.
        loop: The training loop.
        callbacks: The config's callbacks by name, in its order.
        pruning: Calls the request's ``on_epoch``; None without one.
        timing: Measures the steps.
        pace: Decides how long epochs are; None where the config does.
        interruption: Ends the run when a signal asks for it.
        initial_weights: The ``init_from`` entry of ``run.json``; None without it.
        task_monitor: ``task.monitor`` of the config.
        trackers: Where the run is also written, by name.
        profile: Measures where the time goes; None without.
    """

    data: Dataset
    backend: TrainingBackend
    device: str
    model: Any
    logged: Sequence[str]
    feed: Feed
    loop: LoopCall
    callbacks: Mapping[str, Any]
    pruning: EpochHook | None
    timing: Timing
    pace: Pace | None
    interruption: Interruption
    initial_weights: Mapping[str, Any] | None
    task_monitor: str
    trackers: Mapping[str, Tracker]
    profile: Any = None

    @property
    def length(self) -> Length:
        """The run's length."""
        assert self.data.length is not None
        return self.data.length

    def stopping_callbacks(self) -> Iterator[tuple[str, RunCallback]]:
        """The callbacks that may end training, with their names."""
        for name, callback in self.callbacks.items():
            yield name, run_callback(callback)
        if self.pruning:
            yield "pruning", self.pruning

    def best_epoch(self) -> int | None:
        """The best epoch so far; None if no callback decides it."""
        epochs = (run_callback(c).get_best_epoch() for c in self.callbacks.values())
        return next((epoch for epoch in epochs if epoch is not None), None)

    def measured_seconds(self) -> dict[str, float]:
        """What the callbacks have measured, in seconds, by name."""
        measured: dict[str, float] = {}
        for callback in self.callbacks.values():
            measured |= run_callback(callback).get_seconds()
        return measured

    @property
    def monitor(self) -> str:
        """The logged value that decides the best epoch."""
        checkpoints = (c for c in self.callbacks.values() if isinstance(c, Checkpoint))
        return next((checkpoint.monitor for checkpoint in checkpoints), self.task_monitor)


def assemble(request: RunRequest, session: Session) -> AssembledRun:
    """Build all objects of a run.

    Raises:
        DlrunError: If one can't be built, or they do not fit together.
    """
    config, data, resumption = request.config, session.data, request.resumption
    compile = str(config.loop.get("compile", "auto"))
    require_gpu(config.backend.name, compile=compile, device=session.device)
    _require_monitored(config.task.monitor, data)
    model = build_model(config, data.spec, load_weights=not resumption)
    check_exports(model, config)
    # A step of the user's own may make other inputs of them.
    data = data.match(model) if data_may_change(config) else match_inputs(model, data)
    weights = request.initial_weights
    assigned = assign_initial_weights(model, weights) if weights else None
    length = data.length
    assert length is not None  # a session's data have one
    length.replay(request.ends)
    logged = compile_model(model, config, data.spec, length=length)
    data = weigh(model, data, config)
    if resumption:
        before = run_length(resumption.of_before(config), length.given)
        check_same_schedule(model.optimizer, config, length, before)
    if not data_may_change(config):
        check_monitors(config, logged)
    if request.cache and resumption is None:  # a resumed run carries state outside its variables
        model = request.cache.reuse(model, config, data)
    loop = build_loop(config, session.feed)
    check_loop(loop, model, is_weighted=data.train.weights is not None)
    timing = Timing(data.samples_of)
    return AssembledRun(
        data=data,
        backend=request.backend or training_module(config.backend.name),
        device=session.device,
        model=model,
        logged=logged,
        feed=session.feed,
        loop=loop,
        callbacks=build_callbacks(config, request.destination.path, progress=not request.quiet),
        pruning=EpochHook(request.on_epoch) if request.on_epoch else None,
        timing=timing,
        pace=_pace(length, timing, config),
        interruption=Interruption(),
        initial_weights=assigned,
        task_monitor=config.task.monitor,
        trackers=build_trackers(config),
        profile=instantiate("profile", config.profile) if config.profile.get("_target_") else None,
    )


def connect(
    run: AssembledRun, request: RunRequest, new_record: Mapping[str, Any] | None
) -> Restore:
    """Connect the callbacks to their run, and restore the state of a resumed run.

    Args:
        run: From :func:`assemble`.
        request: The run's request.
        new_record: The run's ``run.json``, not yet written; None where nothing is written.

    Returns:
        The callback that restores the rest when training begins; it must come last.
    """
    written_by = record.written_by(new_record) if new_record else {}
    check_callbacks(run.model.optimizer, run.callbacks)
    for callback in run.callbacks.values():
        run_callback(callback).set_run(
            data=run.data, written_by=written_by, callbacks=run.callbacks, backend=run.backend
        )
    if request.resumption is None:
        return Restore({}, {}, {})
    return restore_training_state(run.model, run.callbacks, run.backend, request.resumption)


def _pace(length: Length, timing: Timing, config: Config) -> Pace | None:
    if not isinstance(length, ClockedLength):
        return None
    return Pace(length, timing, agreed(config))


def _require_monitored(monitor: str, data: Dataset) -> None:
    if monitor.startswith("val_") and not len(data.validation):
        raise DlrunError(
            f"task.monitor={monitor}: the data set has no validation split",
            hint=f"task.monitor={monitor.removeprefix('val_')}",
        )

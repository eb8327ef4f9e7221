"""The request for a training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dlrun.config.schema import Config
from dlrun.runs.directory import RunDir

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.training.initial_weights import InitialWeights
    from dlrun.training.resumption import Resumption
    from dlrun.training.reuse import ProcessCache
    from dlrun.training.vectorized import LaneBackend

OnEpoch = Callable[[dict[str, Any]], bool]


class Destination(Protocol):
    """Where a run is written: a new directory, or that of the resumed run."""

    @property
    def path(self) -> Path:
        """The run's directory, which may not exist yet."""

    def open(self, record: dict[str, Any], inputs: str) -> AbstractContextManager[RunDir]:
        """Open the directory for writing, once everything is built and the config proved right.

        Args:
            record: From :func:`dlrun.training.record.new_record`.
            inputs: The text of ``inputs.json``, see :class:`dlrun.data.input_spec.InputSpec`.
        """


@dataclass(frozen=True)
class RunRequest:
    """One run to train, new or resumed.

    Args:
        config: The run's config.
        overrides: As typed.
        command: The command line, for the record.
        started_at: When the user started the run, in seconds since the epoch.
        destination: Where the run is written.
        project_dir: From :func:`dlrun.config.options.project_dir`.
        initial_weights: Initial values of the model's variables; None for random ones.
        resumption: Where a resumed run continues; None for a new one.
        ends: What the clock has decided in a resumed run, as in
            :class:`dlrun.data.length.ClockedLength`.
        parent: The entry of ``run.json`` for the run that this one repeats with changes; None for
            a run of its own.
        on_epoch: Called after each epoch; may end the run. See
            :class:`dlrun.training.hooks.epoch_hook.EpochHook`.
        cache: Shared by the runs of one process; None if it trains a single run.
        backend: Of a run that trains beside others; None for one by itself.
        quiet: Show no progress.
    """

    config: Config
    overrides: Sequence[str]
    command: Sequence[str]
    started_at: float
    destination: Destination
    project_dir: str
    initial_weights: InitialWeights | None = None
    resumption: Resumption | None = None
    ends: Sequence[int] = ()
    parent: Mapping[str, Any] | None = None
    on_epoch: OnEpoch | None = None
    cache: ProcessCache | None = None
    backend: LaneBackend | None = None
    quiet: bool = False

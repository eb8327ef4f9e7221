"""What a training run is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dlrun.config.schema import Config
from dlrun.runs.directory import RunDir

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    from dlrun.training.initial_weights import InitialWeights
    from dlrun.training.resumption import Resumption
    from dlrun.training.reuse import ProcessCache

OnEpoch = Callable[[dict[str, Any]], bool]


class Place(Protocol):
    """Where a run is written: a new directory, or that of the run it continues."""

    @property
    def path(self) -> Path:
        """The run's directory, which may not be there yet."""

    def opened(self, record: dict[str, Any], inputs: str) -> AbstractContextManager[RunDir]:
        """Begin to write, when all parts are built and nothing that was typed can be wrong.

        Args:
            record: What ``run.json`` says of a run that starts.
            inputs: The text of ``inputs.json``, see :class:`dlrun.data.input_spec.InputSpec`.
        """


@dataclass(frozen=True)
class RunRequest:
    """One run to train, new or resumed.

    Args:
        config: Of the run.
        overrides: As typed.
        command: The command line, for the record.
        started_at: When the run began for its user, in seconds since the epoch.
        place: Where it is written.
        initial_weights: What the model's variables begin with; None for what it draws.
        resumption: Where a resumed run continues; None for a new one.
        on_epoch: Called after each epoch; may end the run. See
            :class:`dlrun.training.hooks.epoch_hook.EpochHook`.
        cache: What the process keeps from run to run, where it stays for several.
        quiet: Show no progress.
    """

    config: Config
    overrides: Sequence[str]
    command: Sequence[str]
    started_at: float
    place: Place
    initial_weights: InitialWeights | None = None
    resumption: Resumption | None = None
    on_epoch: OnEpoch | None = None
    cache: ProcessCache | None = None
    quiet: bool = False

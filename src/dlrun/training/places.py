"""The directory that a run is written to: a new one, or that of the run it continues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError
from dlrun.runs.directory import CONFIG, INPUTS, RunDir, create_run, lock
from dlrun.system.files import write_text
from dlrun.training.record import write_error

if TYPE_CHECKING:
    from dlrun.training.resumption import Resumption

# What the record of a resumed run says of the process that continued it.
RENEWED = ("backend", "device", "host", "cores", "versions", "loop")


@dataclass(frozen=True)
class NewPlace:
    """A run directory that is yet to be made.

    Args:
        path: From :func:`dlrun.runs.directory.plan_run_path`.
        files: The text of its first files, by name.
        git_state: Called for what ``run.json`` says of the commit.
    """

    path: Path
    files: Mapping[str, str]
    git_state: Callable[[], Mapping[str, Any]]

    @contextmanager
    def opened(self, record: dict[str, Any], inputs: str) -> Iterator[RunDir]:
        """Create the directory, and be the one process that writes to it."""
        files = {**self.files, INPUTS: inputs}
        directory = create_run(self.path, record | {"git": self.git_state()}, files)
        with lock(directory.path):
            yield directory


@dataclass(frozen=True)
class ResumedPlace:
    """The directory of a run that is continued; the caller holds its lock.

    Args:
        directory: Of the run.
        config_text: The resolved config, for ``config.yaml``.
        resumption: Where the run continues; None if it has no checkpoint and starts again.
    """

    directory: RunDir
    config_text: str
    resumption: Resumption | None

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self.directory.path

    @contextmanager
    def opened(self, record: dict[str, Any], inputs: str) -> Iterator[RunDir]:
        """Record the resumption.

        Raises:
            DlrunError: If the data set is another one, or the directory can't be written.
        """
        _refuse_other_data(self.directory.record, record)
        try:
            write_text(self.path / CONFIG, self.config_text)
            write_text(self.path / INPUTS, inputs)
            self._renew(record)
        except OSError as error:
            raise write_error(self.directory, error) from error
        yield self.directory

    def _renew(self, record: Mapping[str, Any]) -> None:
        """Add this resumption to the record, and remove how the run had ended before it."""
        before, at = self.directory.record, self.resumption.at if self.resumption else None
        changed = [key for key in RENEWED if before.get(key) != record[key]]
        entry = {
            **{key: record[key] for key in ("command", "overrides", "started")},
            "after": {"epochs": at.epochs, "steps": at.steps} if at else None,
            "before": {key: before.get(key) for key in changed},
        }
        for key in ("error", "traceback", "stopped_by"):
            before.pop(key, None)
        self.directory.update(
            status="running",
            resumed=[*before.get("resumed", []), entry],
            config=record["config"],
            **{key: record[key] for key in RENEWED},
        )


def _refuse_other_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    had, has = before.get("data_fingerprint", {}), now["data_fingerprint"]
    for split in had:
        if had[split] != has.get(split):
            raise DlrunError(
                f"the data set is not the one that the run began with: its {split} split was"
                f" {had[split]}, and is {has.get(split)}",
                hint="bring the data back as it was, or begin another run with init_from=RUN",
            )

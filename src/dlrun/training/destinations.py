"""The directory that a run is written to: a new one, or that of the resumed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError
from dlrun.runs.directory import CONFIG, INPUTS, RunDir, create_run, lock
from dlrun.system.files import write_text
from dlrun.training.record import code_state, write_error

if TYPE_CHECKING:
    from dlrun.training.resumption import Resumption

# The keys of a record that describe the process; a resumption updates them.
PROCESS_KEYS = (
    "backend", "device", "devices", "distribution", "host", "cores", "versions", "loop",
)  # fmt: skip


@dataclass(frozen=True)
class NewDestination:
    """A run directory that does not exist yet.

    Args:
        path: From :func:`dlrun.runs.directory.plan_run_path`.
        files: The text of its initial files, by name.
        code_state: Returns the entries of ``run.json`` for the code.
    """

    path: Path
    files: Mapping[str, str]
    code_state: Callable[[], Mapping[str, Any]]

    @contextmanager
    def open(self, record: dict[str, Any], inputs: str) -> Iterator[RunDir]:
        """Create the directory, and lock it for this process."""
        files = {**self.files, INPUTS: inputs}
        directory = create_run(self.path, {**record, **self.code_state()}, files)
        with lock(directory.path):
            yield directory


@dataclass(frozen=True)
class ResumedDestination:
    """The directory of a resumed run; the caller holds its lock.

    Args:
        directory: The run's directory.
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
    def open(self, record: dict[str, Any], inputs: str) -> Iterator[RunDir]:
        """Record the resumption.

        Raises:
            DlrunError: If the data set has changed, or the directory can't be written.
        """
        _refuse_other_data(self.directory.record, record)
        try:
            write_text(self.path / CONFIG, self.config_text)
            write_text(self.path / INPUTS, inputs)
            self._update(record)
        except OSError as error:
            raise write_error(self.directory, error) from error
        yield self.directory

    def _update(self, record: Mapping[str, Any]) -> None:
        """Add this resumption to the record, and remove how the run ended before."""
        before, at = self.directory.record, self.resumption.at if self.resumption else None
        changed = [key for key in PROCESS_KEYS if before.get(key) != record[key]]
        entry = {
            **{key: record[key] for key in ("command", "overrides", "started")},
            "after": {"epochs": at.epochs, "steps": at.steps} if at else None,
            "before": {key: before.get(key) for key in changed},
            **code_state(Path(record["project"])),
        }
        for key in ("error", "traceback", "stopped_by", "profile"):
            before.pop(key, None)
        self.directory.update(
            status="running",
            resumed=[*before.get("resumed", []), entry],
            config=record["config"],
            length=record["length"],
            **{key: record[key] for key in PROCESS_KEYS},
        )


def _refuse_other_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    expected, actual = before.get("data_fingerprint", {}), now["data_fingerprint"]
    for split in expected:
        if expected[split] != actual.get(split):
            raise DlrunError(
                f"the data set has changed since the run started: its {split} split was"
                f" {expected[split]}, and is {actual.get(split)}",
                hint="restore the data, or train a new run with init_from=RUN",
            )

"""The contract of a data source: samples where they are, described before they are arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec


@dataclass(frozen=True)
class Description:
    """What a source found, and what it will do.

    Args:
        source: Where the samples are.
        samples: How many there are.
        splits: How many samples each split has.
        columns: For a table, of each column: ``name``, ``type``, ``kind`` (how it is used, or
            ``target``, ``split``, ``left out``), ``missing``, ``distinct``, ``examples``.
        tasks: The task of each output by name, one of :data:`dlrun.data.targets.KINDS`.
        classes: How many samples each class has, by output.
        notes: What is unusual, one line each.
        explicit: Arguments of the source that make each choice explicit.
    """

    source: str
    samples: int
    splits: Mapping[str, int]
    columns: list[dict[str, Any]] = field(default_factory=list)
    tasks: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    explicit: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """What a function of the ``data`` group may return in place of a data set.

    Nothing of it imports a framework.
    """

    def describe(self) -> Description:
        """Describe the samples.

        Raises:
            DlrunError: If they can't be read, or do not fit the arguments.
        """

    def tasks(self) -> Mapping[str | None, str]:
        """The task of each output, one of :data:`dlrun.data.targets.KINDS`; None is a single one.

        Raises:
            DlrunError: As :meth:`describe`.
        """

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """The samples as arrays.

        Args:
            saved: Of a run, whose fitted preprocessing is applied; None to fit.

        Raises:
            DlrunError: As :meth:`describe`, or if the samples do not fit the run.
        """

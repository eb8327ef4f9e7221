"""Where a command finds the user's options and modules, and which of them it trusts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Project:
    """The user's options and modules; what ``--config-dir`` and ``--trust`` say.

    Args:
        config_dir: The user's own options, or a directory with these in ``configs``; None for the
            working directory. See :mod:`dlrun.config.options`.
        trusted: Modules that may be instantiated, beside those that the user's options name.
    """

    config_dir: Path | None = None
    trusted: tuple[str, ...] = ()

    @classmethod
    def of(cls, config_dir: Path | str | None, trusted: Sequence[str] | None) -> Project:
        """What a user has given; None for nothing."""
        return cls(None if config_dir is None else Path(config_dir), tuple(trusted or ()))

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> Project:
        """What :meth:`to_json` has written, in another process."""
        place = entries["config_dir"]
        return cls(Path(place) if place else None, tuple(entries["trusted"]))

    def to_json(self) -> dict[str, Any]:
        """Its entries in a job for another process, which may have another working directory."""
        place = str(self.config_dir.resolve()) if self.config_dir else None
        return {"config_dir": place, "trusted": list(self.trusted)}

    def to_words(self) -> list[str]:
        """Its options on a command line."""
        words = ["--config-dir", str(self.config_dir.resolve())] if self.config_dir else []
        return words + [word for module in self.trusted for word in ("--trust", module)]


HERE = Project()  # the working directory

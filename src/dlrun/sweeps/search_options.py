"""The options of a search, as typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, did_you_mean
from dlrun.system.files import is_dir

SEARCHES = ("optuna",)
SQLITE = "sqlite:///"
STUDY = "study.db"  # the default, in the sweep's directory


@dataclass(frozen=True)
class Settings:
    """The settings of a search, saved in ``sweep.json``.

    Args:
        trials: The number of runs.
        sampler: A name of ``optuna.samplers``, with arguments.
        pruner: A name of ``optuna.pruners``, with arguments.
        study: The study's name; None for the name of the sweep's directory.
        storage: As ``sqlite:///`` and a path; None for a file in the sweep's directory.
        objectives: Several, as :func:`dlrun.sweeps.objectives.parse_objectives` takes them; None
            for ``task.monitor`` alone.
    """

    trials: int = 20
    sampler: str = "tpe"
    pruner: str = "median"
    study: str | None = None
    storage: str | None = None
    objectives: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """Create the settings from options; None values are left out.

        Raises:
            DlrunError: If the storage is not an SQLite file in an existing directory.
        """
        given = {key: value for key, value in options.items() if value is not None}
        if storage := given.get("storage"):
            path = Path(storage.removeprefix(SQLITE)).absolute()
            if not storage.startswith(f"{SQLITE}") or ":memory:" in storage or is_dir(path):
                raise DlrunError(
                    f"--storage {storage}: expected {SQLITE} and the path of a file",
                    hint=f"--storage {SQLITE}{STUDY}",
                )
            if not is_dir(path.parent):
                raise DlrunError(f"--storage {storage}: there is no directory {path.parent}")
            given["storage"] = f"{SQLITE}{path}"
        return cls(**given)


NAMES = tuple(Settings.__dataclass_fields__)


def search_options(search: str | None, resumes: bool, **options: Any) -> dict[str, Any] | None:
    """The options of a search that were given; None without a search.

    Args:
        search: What searches.
        resumes: Whether an earlier sweep is resumed.
        **options: By the names of :class:`Settings`; None if not given.

    Raises:
        DlrunError: If they do not go together.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if search is not None and search not in SEARCHES:
        raise DlrunError(
            f"--search {search}: expected one of {', '.join(SEARCHES)}",
            hint=did_you_mean(search, SEARCHES)
            or f"--search {SEARCHES[0]}; what it draws by is --sampler, such as tpe or random",
        )
    for key in given:
        if resumes and key != "trials":
            raise DlrunError(f"--resume takes no --{key}: the search keeps its own")
        if search is None and not resumes:
            raise DlrunError(f"--{key} requires --search optuna")
    return _settle_pruner(given) if search or given else None


def _settle_pruner(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a search, without pruning if it has several objectives.

    Raises:
        DlrunError: If a pruner was chosen all the same.
    """
    if given.get("objectives") is None:
        return dict(given)
    if (pruner := given.get("pruner", "none")) != "none":
        raise DlrunError(
            f"--pruner {pruner}: Optuna prunes by one objective, and --objectives has several",
            hint="--pruner none, or leave it out",
        )
    return {**given, "pruner": "none"}

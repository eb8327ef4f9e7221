"""``--needed``: the run that has done already what a config asks for."""

from __future__ import annotations

import dataclasses
import glob
import logging
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from dlrun import __version__
from dlrun.config.options import project_dir
from dlrun.config.schema import Config
from dlrun.remote.fetch import fetch_listing
from dlrun.remote.places import shown_path
from dlrun.runs.directory import RECORD
from dlrun.runs.locate import iter_runs
from dlrun.runs.result import RunResult
from dlrun.runs.status import is_locked, start_time
from dlrun.system.equality import is_same
from dlrun.system.files import exists, is_dir, read_json
from dlrun.training.initial_weights import find_initial_run

log = logging.getLogger("dlrun")

# Keys that change no number of a result: where a run lies and reports to.
APART = ("name", "runs_dir", "tracker", "sweep", "reproduces")
MOST_FILES = 100_000  # of a data set whose times are looked at


class CompletedRuns:
    """The completed runs in a folder, of the code as it is now.

    Args:
        folder: At any depth of it.
        config_dir: The user's own options.
    """

    def __init__(self, folder: Path, config_dir: Path | None) -> None:
        self._folder = fetch_listing(folder, is_locked)
        self._project = project_dir(config_dir)

    def equal(self, config: Config) -> RunResult | None:
        """The result of the newest run with the same config, code and data; None without one.

        The data are the same if no file that the config names was written since that run began.
        """
        start = {"init_from": str(find_initial_run(config).path)} if config.init_from else {}
        wanted = comparable(dataclasses.asdict(config) | start)  # a record never has 'latest'
        for path, record in self._records:
            if not is_same(comparable(record["config"]), wanted):
                continue
            if changed := _newer_file(wanted["data"], start_time(record)):
                log.info("%s is equal, but %s was written since", path, changed)
                continue
            try:
                return RunResult.from_record(record, str(path))
            except ValueError:
                continue
        return None

    @cached_property
    def _records(self) -> list[tuple[Path, dict[str, Any]]]:
        from dlrun.training.record import code_state

        code = code_state(self._project)
        found = []
        for path in iter_runs(self._folder) if is_dir(self._folder) else ():
            try:
                record = read_json(path / RECORD)
            except (OSError, ValueError):
                continue
            if isinstance(record, dict) and _is_finished(record) and _has_code(record, code):
                found.append((path, record))
        return sorted(found, key=lambda each: start_time(each[1]), reverse=True)


def find_equal_run(config: Config, config_dir: Path | None) -> RunResult | None:
    """The result of an equal run in the config's ``runs_dir``, and a line that names it."""
    found = CompletedRuns(Path(config.runs_dir), config_dir).equal(config)
    if found is not None:
        found = dataclasses.replace(found, run_dir=shown_path(Path(found.run_dir)))
        log.info("done   %s is an equal run: nothing was trained", found.run_dir)
    return found


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved config without the keys that change no number of its result."""
    return {key: value for key, value in config.items() if key not in APART}


def _is_finished(record: Mapping[str, Any]) -> bool:
    versions = record.get("versions")
    same = isinstance(versions, dict) and versions.get("dlrun") == __version__
    return record.get("status") == "completed" and isinstance(record.get("config"), dict) and same


def _has_code(record: Mapping[str, Any], code: Mapping[str, Any]) -> bool:
    """Whether a run, and each resumption of it, was of the same code; False if it can't be told."""
    resumed = record.get("resumed")
    parts = [record, *(resumed if isinstance(resumed, list) else [])]
    return code["code"] is not None and all(
        isinstance(part, dict) and all(part.get(key) == code[key] for key in code) for part in parts
    )


def _newer_file(data: Any, since: float) -> str | None:
    """A file of the data set that was written after a time in seconds since 1970."""
    for path in _paths(data):
        for number, file in enumerate(_files(path)):
            try:
                if number >= MOST_FILES or file.stat().st_mtime > since:
                    return str(file)
            except OSError:
                continue
    return None


def _paths(value: Any) -> Iterator[Path]:
    """Each text in a part of a config that names a file or a directory."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner)
    elif isinstance(value, str) and any(map(str.isalnum, value)):  # "." is the sign of decimals
        found = [value] if exists(Path(value)) else glob.glob(value)  # noqa: PTH207 - absolute too
        yield from map(Path, found)


def _files(path: Path) -> Iterator[Path]:
    if not is_dir(path):
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)

"""The runs of a sweep from a file: ``--runs runs.csv`` or ``--runs runs.yaml``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override

from dlrun.config.overrides import NUMBER
from dlrun.config.ranges import MAX_VALUES, parse_line
from dlrun.config.sweeps.pairs import PairedRows
from dlrun.errors import DlrunError, first_line

MAX_BYTES = 64 * 1024 * 1024
EXAMPLE = "a CSV with a key in each column, or a YAML list with a mapping for each run"


def read_runs(path: Path) -> PairedRows:
    """Read the overrides of each run.

    Args:
        path: A ``.csv`` or ``.tsv`` with keys in its first line, of which an empty cell leaves the
            key as it is; or a ``.yaml`` or ``.json`` list, with a mapping of values by key, or a
            list of overrides, for each run.

    Raises:
        DlrunError: If it can't be read, or a value can't be written as an override.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
        runs = _from_table(path, text) if path.suffix in (".csv", ".tsv") else _from_yaml(text)
    except OSError as error:
        raise DlrunError(f"--runs {path}: {error.strerror}", hint=f"expected {EXAMPLE}") from error
    except (ValueError, csv.Error, yaml.YAMLError) as error:
        raise DlrunError(
            f"--runs {path}: {first_line(error)}", hint=f"expected {EXAMPLE}"
        ) from error
    if not 0 < len(runs) <= MAX_VALUES:
        raise DlrunError(f"--runs {path}: has {len(runs):,} runs", hint=f"expected {EXAMPLE}")
    return PairedRows("--runs", runs)


def _from_table(path: Path, text: str) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(text), delimiter="\t" if path.suffix == ".tsv" else ","))
    heads = [head.strip() for head in (rows[0] if rows else ())]
    if not all(heads) or len(set(heads)) < len(heads):
        raise ValueError("line 1: expected a different key in each column")
    runs = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(heads):
            raise ValueError(f"line {number}: has {len(row)} cells, expected {len(heads)}")
        pairs = zip(heads, (cell.strip() for cell in row), strict=True)
        runs.append([_line(key, cell, f"line {number}") for key, cell in pairs if cell])
    return runs


def _from_yaml(text: str) -> list[list[str]]:
    entries = yaml.safe_load(text)
    if not isinstance(entries, list):
        raise ValueError("it is not a list")
    runs = []
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, Mapping):
            runs.append([_line(str(k), _flow(v), f"run {number}") for k, v in entry.items()])
        elif isinstance(entry, list) and all(isinstance(line, str) for line in entry):
            runs.append([str(line) for line in entry])
        else:
            raise ValueError(f"run {number}: expected a mapping or a list of overrides")
    return runs


def _flow(value: Any) -> str:
    """A value of YAML as an override has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_flow(of)}" for key, of in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_flow, value)) + "]"
    return "null" if value is None else json.dumps(value, default=str)


def _line(key: str, value: str, place: str) -> str:
    """An override; a value that Hydra would not read as one is quoted."""
    if NUMBER.fullmatch(value) or value.isalnum():
        return f"{key}={value}"
    for typed in (value, json.dumps(value, ensure_ascii=False)):
        parsed = parse_line(f"{key}={typed}")
        if isinstance(parsed, Override) and not parsed.is_sweep_override():
            return f"{key}={typed}"
    raise ValueError(f"{place}: {key}={value} is not an override")

"""The columns of a table, by name, and what is wrong with their values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.columns.date import date_format
from dlrun.data.tabular.column_types import NOT_UTF8, not_read, not_utf8
from dlrun.data.tabular.column_values import FALSE, IN_FLOAT32, TRUE, WrongValueError
from dlrun.data.tabular.number_types import NUMERIC
from dlrun.data.tabular.profile import IDENTIFIER, OTHER, ColumnProfile
from dlrun.errors import DlrunError, nearest

if TYPE_CHECKING:
    from dlrun.data.table import Table

COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
PLAIN = re.compile(r"[\w.?/+: -]{1,40}")  # what Hydra takes in a list without quotes
CODE = re.compile(r"0\d")  # not to be read as a number
MOST = 0.9  # a column of texts that are numbers or dates to this share is one with mistakes
HALF = 0.5


def require_column(of: Table, name: str, key: str, *, values: bool = True) -> ColumnProfile:
    """The profile of a column that the user names.

    Args:
        of: The table.
        name: The column.
        key: What names it, for messages.
        values: Whether its values are needed.

    Raises:
        DlrunError: If there is no such column, or its values are needed and nothing reads them.
    """
    of_columns = key == "data.columns"  # a mapping, whose keys are the columns
    typed = f"{key}.{name}" if of_columns else f"{key}={name}"
    if name not in of.profiles:
        near = nearest(name, of.profiles)
        some = ", ".join(list(of.profiles)[:12]) + (", ..." if len(of.profiles) > 12 else "")
        nearest_typed = near and (
            f"{key}.{near}=KIND" if of_columns else _override_for(f"{key}=", near)
        )
        hint = _delimiter_hint(of, name) or nearest_typed
        raise DlrunError(f"{typed}: {of.path} has no such column; it has {some}", hint=hint)
    if values:
        refuse_other(of, name, f"{typed}: the column")
        if key != "data.target":
            refuse_lists(of.profiles[name], typed, f"{key}.{name}=drop" if of_columns else None)
    return of.profiles[name]


def refuse_lists(profile: ColumnProfile, typed: str, hint: str | None) -> None:
    """Refuse a column of lists where each row has to have one value.

    Args:
        profile: The column's.
        typed: What names it, for the message.
        hint: How to mend it, if it is not another column that is wanted.
    """
    if profile.type.startswith("list"):
        raise DlrunError(
            f"{typed}: the column has lists, expected one value in each row",
            hint=hint or "choose another column",
        )


def require_saved(of: Table, names: Sequence[str]) -> None:
    """Refuse a table without the columns that a run was trained on, or whose values nothing reads.

    Args:
        of: The table.
        names: All of the run's.

    Raises:
        DlrunError: If a column is not there, or of another sort.
    """
    if missing := [name for name in names if name not in of.profiles]:
        raise DlrunError(
            f"data: {of.path} has no column '{missing[0]}', which the run was trained on"
            + (f", nor {len(missing) - 1} more" if len(missing) > 1 else ""),
            hint=f"the run takes {', '.join(names[:12])}",
        )
    for name in names:
        refuse_other(of, name, f"data: {of.path}: column '{name}'")


def refuse_other(of: Table, name: str, what: str) -> None:
    """Refuse a column whose values nothing reads; ``what`` names it."""
    if of.profiles[name].kind == OTHER:
        raise not_read(what, of.profiles[name].type, name, Path(of.path))


def _override_for(key: str, name: str) -> str:
    """An override with a column's name, which may begin with a space."""
    plain = PLAIN.fullmatch(name) and name == name.strip()
    return f"{key}{name}" if plain else f"""'{key}"{name}"'"""


def _delimiter_hint(of: Table, name: str) -> str | None:
    """How to read a CSV whose only column is called by all names, this one among them."""
    if len(of.profiles) > 1 or not of.has_missing or of.files.format != "csv":
        return None
    [names] = of.profiles
    signs = dict.fromkeys(re.findall(r"\W", names))
    sign = next((sign for sign in signs if name in names.split(sign)), None)
    if sign is not None and sign == of.table_options.decimal:
        return f"leave out data.decimal={sign}, which is between the names"
    return None if sign is None else f"""data.delimiter='"{sign}"'"""


def require_numbers(of: Table, profile: ColumnProfile, key: str) -> None:
    """Refuse texts in a column of numbers, by row."""
    if profile.type in (*NUMERIC, "bool") or (profile.type == "string" and not profile.wrong):
        return
    row, value = profile.wrong or (0, profile.examples[0])
    raise DlrunError(
        f"{key}: column '{profile.name}', row {row + 1:,} is {value!r:.80}, expected a number",
        hint=correct(of, value)
        if profile.numeric >= HALF or has_comma(of, value)
        else "choose a column of numbers",
    )


def has_numbers(profile: ColumnProfile) -> bool:
    """Whether all values are numbers, of texts those that are no codes such as 0127."""
    if profile.type != "string":
        return profile.type in NUMERIC
    return profile.numeric == 1 and not any(map(CODE.match, (*profile.examples, *profile.counts)))


def has_comma(of: Table, value: object) -> bool:
    """Whether a value is a number but for its comma, of a CSV whose delimiter is another sign."""
    if not isinstance(value, str) or not COMMA.fullmatch(value):
        return False
    if not of.has_missing or of.files.format != "csv":  # a table that is made has no files
        return False
    from dlrun.data.table_formats.csv import header

    return header(of.files.paths[0], of.table_options).delimiter != ","


def correct(of: Table, value: object) -> str:
    """How to mend a wrong value, for hints; only a text may stand for a missing one."""
    if value is None:
        return "fill it in, or remove the row"
    if has_comma(of, value):
        return """'data.decimal=","' if the comma is that of a decimal"""
    is_text = isinstance(value, str) and of.has_missing and of.files.format in ("csv", "jsonl")
    if not is_text or not PLAIN.fullmatch(str(value)):
        return "correct it"
    return f"correct it, or 'data.missing=[{value}]' if it stands for a missing value"


def refuse_mistakes(of: Table, profile: ColumnProfile, key: str, keep: str) -> None:
    """Refuse a column of numbers, dates or truth values with others among them.

    Args:
        of: The table.
        profile: The column's.
        key: What reads it, for messages.
        keep: How to keep it as it is, for hints.
    """
    if profile.type == NOT_UTF8:
        raise not_utf8(Path(of.path), profile.name, f"decode its values, or {keep}")
    if profile.type != "string":
        return
    # Texts that all differ are left out as ids, and so would be the numbers among them.
    is_id = profile.kind == "id" and not IDENTIFIER.search(profile.name)
    least = HALF if is_id else MOST
    for share, wrong, what in (
        (profile.numeric, profile.wrong, "numbers"),
        (profile.dated, profile.undated, "dates"),
        (*number_among_truths(of, profile), "true or false"),
    ):
        if wrong and least <= share < 1:
            row, value = wrong
            raise DlrunError(
                f"{key}: column '{profile.name}': row {row + 1:,} is {value!r:.80}, but"
                f" {min(share, 0.99):.0%} of the rows are {what}",
                hint=f"{correct(of, value)}, or {keep}",
            )


def number_among_truths(of: Table, profile: ColumnProfile) -> tuple[float, tuple[int, str] | None]:
    """The share of truth values in a column of such and of numbers, and the first number by row.

    0 and None for other columns: of a third word beside yes and no, categories are meant.
    """
    truths = {text: n for text, n in profile.counts.items() if text.lower() in (*TRUE, *FALSE)}
    there = profile.rows - profile.missing
    words = sum(n for text, n in truths.items() if text not in "10") / max(1, there)
    strays = [text for text in profile.counts if text not in truths]
    if not words or not strays or not math.isclose(words + profile.numeric, 1):
        return 0.0, None
    import pyarrow as pa
    import pyarrow.compute as pc

    share = sum(truths.values()) / there
    row = 0
    for batch in of.batches([profile.name]):
        values = batch.column(profile.name)
        at = pc.index(pc.is_in(values, value_set=pa.array(strays)), value=True).as_py()
        if at >= 0:
            return share, (row + at, values[at].as_py())
        row += len(batch)
    raise AssertionError("a counted value is in the table")


class at_row:  # noqa: N801 - reads like a function
    """Turn a wrong value into an error that names its row in the table.

    Args:
        of: The table.
        start: The rows before those that are encoded.
        mask: Which of the rows from there are encoded.
        hint: What else mends it.
    """

    def __init__(self, of: Table, start: int, mask: np.ndarray, hint: str = "") -> None:
        self._of, self._start, self._mask, self._hint = of, start, mask, hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, WrongValueError):
            row = self._start + int(np.flatnonzero(self._mask)[error.row])
            raise DlrunError(
                f"data: {self._of.path}: column '{error.column}', row {row + 1:,}: {error.problem}",
                hint=_how_to_read(self._of, error)
                or correct(self._of, error.value) + (_how_to_hold(self._of, error) or self._hint),
            ) from error


def _how_to_read(of: Table, error: WrongValueError) -> str | None:
    """The format of a column of dates, as an override; None if it looks like none."""
    is_date = error.expected.startswith("a date")
    form = date_format(of.profiles[error.column].examples) if is_date else None
    return form and f"""'data.columns.{error.column}={{kind: date, format: "{form}"}}'"""


def _how_to_hold(of: Table, error: WrongValueError) -> str | None:
    """How to scale an input that has larger numbers than float32; None for others, or a run's."""
    if error.expected != IN_FLOAT32 or of.known or error.column not in of.inputs:
        return None
    return f", or 'data.columns.{error.column}={{kind: number, scale: log}}'"

"""The inputs of a table: the columns that the model gets, and what to know of the others."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from dlrun.data import columns
from dlrun.data.columns import InputColumn
from dlrun.data.columns.date import date_format
from dlrun.data.splits import LEFT_OUT, NAMES
from dlrun.data.tabular.columns import (
    HALF,
    has_numbers,
    number_among_truths,
    refuse_mistakes,
    require_column,
    require_numbers,
)
from dlrun.data.tabular.profile import MANY_CLASSES, ColumnProfile
from dlrun.data.targets import columns_of
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.table import Table

NESTED = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)  # a list or object of JSON
LEFT_OUT_AS = {
    "id": "each row has another value, like an id",
    "constant": "all values are equal",
    "empty": "it has no values",
    "list": "lists are not inputs",
    "other": "its values are structs, maps, nested lists or bytes",
}

DROPPED = ("drop", "left out")  # of data.columns


def find_inputs(of: Table) -> dict[str, InputColumn]:
    """What each input column is, by name.

    Raises:
        DlrunError: If one is not what is said of it, or there is none.
    """
    used = {*columns_of(of.labels.values())}
    for name in of.drop:
        require_column(of, name, "data.drop", values=False)
    for name, given in of.given.items():
        require_column(of, name, "data.columns", values=_kind(given) not in DROPPED)
    if of.weight is not None:
        require_numbers(of, require_column(of, of.weight, "data.weight"), "data.weight")
    aside = {*used, *of.drop, of.weight}
    if (way := of.way).by is not None:
        require_column(of, way.by, "data.by")
        aside.add(way.by) if way.way != "time" else None
    found: dict[str, InputColumn] = {}
    for name, profile in of.profiles.items():
        if name in aside:
            continue
        given = of.given.get(name)
        own = dict(given) if isinstance(given, Mapping) else {}
        own.pop("kind", None)
        kind = _kind(given)
        if kind in DROPPED or (kind is None and _names_splits(profile)):
            continue
        if kind is None:
            kind = profile.kind
            other = kind if kind in columns.kinds() else "drop"
            refuse_mistakes(of, profile, "data", f"data.columns.{name}={other}")
            if kind not in columns.kinds():
                continue
        if kind == "number":
            require_numbers(of, profile, "data.columns")
        options = {**of.kind_options.get(str(kind), {}), **own}
        try:
            columns.fitter(str(kind), name, options)
        except (ValueError, TypeError) as error:
            raise DlrunError(f"data: {error}", hint=f"data.columns.{name}=KIND") from error
        found[name] = InputColumn(str(kind), options)
    if not found:
        raise _nothing_to_learn_from(of, {*aside, *of.given})
    return found


def _kind(given: Any) -> Any:
    """The kind in an entry of ``data.columns``: all that it is, or one of its keys."""
    return given.get("kind") if isinstance(given, Mapping) else given


def _names_splits(profile: ColumnProfile) -> bool:
    """Whether a column says which split a row is in: of a row to predict, nobody knows it."""
    values = {value.strip().lower() for value in profile.counts}
    return profile.name == "split" and bool(values) and values <= {*NAMES}


def _nothing_to_learn_from(of: Table, aside: Collection[str | None]) -> DlrunError:
    """The error of a table without inputs; ``aside`` are the columns that the user spoke of."""
    others = {name: profile for name, profile in of.profiles.items() if name not in aside}
    why = [
        f"; column '{name}': {reason}"
        for name, profile in others.items()
        if (reason := LEFT_OUT_AS.get(profile.kind))
    ]
    ids = [profile for profile in others.values() if profile.kind == "id"]
    kind = "number" if ids and has_numbers(ids[0]) else "category"
    return DlrunError(
        f"data: {of.path} has no column to learn from"
        + ("".join(why[:3]) or " beside those that are named"),
        hint=f"data.columns.{ids[0].name}={kind} takes it all the same"
        if ids
        else "see 'dlrun data' for what each is",
    )


def find_notes(of: Table) -> list[str]:
    """What was decided that one may not expect, one line each."""
    notes = []
    used = {*columns_of(of.labels.values())}
    for name, profile in of.profiles.items():
        if name in of.given or name in used or name in (*of.drop, of.weight, of.way.by):
            continue
        if name not in of.inputs and (reason := LEFT_OUT_AS.get(profile.kind)):
            notes.append(f"column '{name}' is left out: {reason}")
        elif name not in of.inputs and _names_splits(profile):
            notes.append(f"column '{name}' is left out: data.split={of.way.way} does not go by it")
        notes += _looks_like(of, profile)
    return [*notes, *_without_effect(of, used), *missing_target_notes(of)]


def _without_effect(of: Table, targets: Collection[str]) -> list[str]:
    """What ``data.columns`` says of columns that are no inputs, one line each.

    Not refused, as an option that is used with other targets may say it.
    """
    by = of.way.by if of.way.way != "time" else None  # whose format is read, and which is an input
    notes = []
    for name, given in of.given.items():
        if name in targets:
            why = "is a target, and numbers of targets are standardized; data.kind says what it is"
        elif name == of.weight:
            why = "weighs the samples"
        elif name in of.drop and _kind(given) not in DROPPED:
            why = "is in data.drop"
        elif name == by and _kind(given) not in DROPPED:
            why = f"is that of data.split={of.way.way}"
        else:
            continue
        notes.append(f"data.columns.{name} has no effect: the column {why}")
    return notes


def _looks_like(of: Table, profile: ColumnProfile) -> list[str]:
    """What else a column of texts may be, as a line; none if it is what it looks like."""
    name = profile.name
    if profile.kind not in ("category", "id") or profile.type != "string":
        return []
    if form := date_format(profile.examples):
        how = f"""'data.columns.{name}={{kind: date, format: "{form}"}}'"""
        return [f"column '{name}' looks like dates: {how} reads them"]
    many = profile.distinct is None or profile.distinct > MANY_CLASSES
    if many and has_numbers(profile):
        return [f"column '{name}' has numbers as texts: data.columns.{name}=number reads them"]
    share, wrong, what = profile.numeric, profile.wrong if many else None, "numbers"
    if wrong is None:
        share, wrong = number_among_truths(of, profile)
        what = "true or false"
    if profile.kind == "category" and wrong and share >= HALF:
        row, value = wrong
        return [
            f"column '{name}' is taken for categories: {min(share, 0.99):.0%} of the rows are"
            f" {what}, and row {row + 1:,} is {value!r:.80}; data.columns.{name}=category says that"
            " it is meant"
        ]
    nested = [value for value in profile.counts if NESTED.fullmatch(value)]
    if 0 < len(nested) < len(profile.counts):
        return [
            f"column '{name}' is taken for categories: of its values, {nested[0]:.80} is a list or"
            " object, and others are not"
        ]
    return []


def missing_target_notes(of: Table) -> list[str]:
    """How many rows are left out as they have no target, as a line; none if there are none."""
    missing = int((of.splits == LEFT_OUT).sum())
    if not missing:
        return []
    which, are = ("rows have", "are") if missing > 1 else ("row has", "is")
    several = any(target.kind == "multilabel" for target in of.labels.values())
    other = "; data.blank=no_class takes blanks for none of the classes" if several else ""
    return [f"{missing:,} {which} no target, and {are} left out{other}"]

"""The targets of a table: which columns they are, of which kind, and their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.splits import LEFT_OUT
from dlrun.data.tabular.columns import (
    at_row,
    correct,
    has_comma,
    has_numbers,
    refuse_lists,
    refuse_mistakes,
    require_column,
    require_numbers,
)
from dlrun.data.tabular.encode_rows import BatchColumns
from dlrun.data.tabular.profile import ColumnProfile
from dlrun.data.targets import Target, split_list
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.table import Table


def find_targets(of: Table) -> dict[str | None, Target]:
    """The outputs by name, None for a single one, as the target columns suggest.

    Raises:
        DlrunError: If a column is missing, or nothing can be learned from it.
    """
    if not of.targets:
        some = ", ".join(list(of.profiles)[:12]) + (", ..." if len(of.profiles) > 12 else "")
        raise DlrunError(
            f"data.target: needs a column of {of.path}: {some}",
            hint=f"data.target={list(of.profiles)[-1]}; 'dlrun data' tells what each holds",
        )
    profiles = [require_column(of, name, "data.target") for name in of.targets]
    for profile in profiles:
        if profile.missing == profile.rows:
            raise DlrunError(
                f"data.target={profile.name}: the column has no values",
                hint="choose another column; 'dlrun data' tells what each holds",
            )
        marks = of.blank == "no_class" and profile.missing  # 1 or blank
        if profile.distinct == 1 and not marks and not profile.type.startswith("list"):
            raise DlrunError(
                f"data.target={profile.name}: every row is {next(iter(profile.counts))}",
                hint="choose a column that varies",
            )
        if of.kind is None:
            refuse_mistakes(of, profile, "data.target", "data.kind=classification")
    found = _outputs(of, profiles)
    if of.blank == "no_class" and "multilabel" not in {t.kind for t in found.values()}:
        names = ", ".join(of.targets)
        raise DlrunError(
            f"data.blank=no_class: is for several classes at once, and the task of {names} is"
            f" {next(iter(found.values())).kind}",
            hint="data.blank=missing, or data.kind=multilabel",
        )
    return found


def _outputs(of: Table, profiles: Sequence[ColumnProfile]) -> dict[str | None, Target]:
    kinds = [of.kind or profile.target_kind for profile in profiles]
    if len(profiles) == 1:
        return {None: _target(of, kinds[0], profiles)}
    if of.kind in ("regression", "multilabel") or set(kinds) == {"regression"}:
        return {None: _target(of, kinds[0], profiles)}
    is_binary = set(kinds) == {"binary_classification"} or of.blank == "no_class"
    if is_binary and of.kind is None and _are_flags(profiles):
        return {None: _target(of, "multilabel", profiles)}
    return {
        profile.name: _target(of, kind, [profile])
        for kind, profile in zip(kinds, profiles, strict=True)
    }


def _are_flags(profiles: Sequence[ColumnProfile]) -> bool:
    return all(profile.type == "bool" or set(profile.counts) <= {"0", "1"} for profile in profiles)


def _target(of: Table, kind: str, profiles: Sequence[ColumnProfile]) -> Target:
    names = tuple(profile.name for profile in profiles)
    if kind != "multilabel" or len(profiles) > 1:
        hint = "leave out data.kind" if len(profiles) > 1 else "data.kind=multilabel"
        for profile in profiles:
            refuse_lists(profile, f"data.target={profile.name}", hint)
    if kind == "regression":
        for profile in profiles:
            require_numbers(of, profile, "data.target")
        return Target(kind, names)
    if kind == "multilabel" and len(profiles) > 1:
        return Target(kind, names, names)
    [profile] = profiles
    if kind == "multilabel":
        found: dict[str, None] = {}
        for batch in of.batches():
            values, _ = split_list(batch.column(profile.name))
            found |= dict.fromkeys(values.unique().to_pylist())
        return Target(kind, names, tuple(sorted(found)))
    if profile.distinct is None:
        raise DlrunError(
            f"data.target={profile.name}: more than {10_000:,} different values are no classes",
            hint=_of_comma(of, profile) or "data.kind=regression, or choose another column",
        )
    classes = tuple(sorted(profile.counts, key=_class_order))
    if kind == "binary_classification" and len(classes) != 2:
        raise DlrunError(
            f"data.target={profile.name}: has {len(classes)} different values, not two",
            hint="data.kind=classification",
        )
    if kind == "classification" and profile.type == "string" and profile.is_unique:
        raise DlrunError(
            f"data.target={profile.name}: each row has another value: {profile.examples[0]!r}, ...",
            hint=_of_comma(of, profile)
            or (
                "data.kind=regression"
                if has_numbers(profile)
                else "choose a column whose values repeat"
            ),
        )
    few = [name for name in classes if profile.counts[name] < 2]
    if few:
        raise DlrunError(
            f"data.target={profile.name}: class {few[0]} has one row, which can't be both in"
            " training and in the test" + (f"; {len(few)} such classes" if len(few) > 1 else ""),
            hint=_of_comma(of, profile)
            or (
                "collect more rows of it, or remove it"
                if profile.type == "string"
                else "data.kind=regression, or remove it"
            ),
        )
    return Target(kind, names, classes)


def _of_comma(of: Table, profile: ColumnProfile) -> str | None:
    """How to read a column of texts such as 0,25; None for others."""
    value = profile.examples[0]
    return correct(of, value) if has_comma(of, value) else None


def _class_order(name: str) -> tuple[int, float, str]:
    """Numbers by value, then texts: 2 before 10, false before true, no before yes."""
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)


def class_counts(of: Table, target: Target) -> dict[str, int]:
    """How many rows are in each class of a target."""
    if target.kind == "multilabel":
        return _label_counts(of, target)
    counts = of.profiles[target.columns[0]].counts
    return {name: counts.get(name, 0) for name in target.classes}


def _label_counts(of: Table, target: Target) -> dict[str, int]:
    """How many rows that have a target have each of several classes at once."""
    import pyarrow as pa

    counts, start = np.zeros(len(target.classes), np.int64), 0
    for batch in of.batches():
        mask = of.splits[start : start + len(batch)] != LEFT_OUT
        rows = batch.select(list(target.columns)).filter(pa.array(mask))
        with at_row(of, start, mask):
            labels = target.encode(BatchColumns(rows))
        counts += labels.sum(axis=0, dtype=np.int64)
        start += len(batch)
    return dict(zip(target.classes, counts.tolist(), strict=True))

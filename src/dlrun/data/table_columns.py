"""What the columns of a table are: targets, inputs, or neither."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data import columns
from dlrun.data.columns.date import date_format
from dlrun.data.profile import IDENTIFIER, MANY_CLASSES, ColumnProfile
from dlrun.data.splits import LEFT_OUT, NAMES
from dlrun.data.targets import Target, split_list
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.table import Table

PLAIN = re.compile(r"[\w.?/+: -]{1,40}")  # what Hydra takes in a list without quotes
CODE = re.compile(r"0\d")  # not to be read as a number
MOST = 0.9  # a column of texts that are numbers or dates to this share is one with mistakes
HALF = 0.5
LEFT_OUT_AS = {
    "id": "each row has another value, like an id",
    "constant": "all values are equal",
    "empty": "it has no values",
    "list": "lists are no inputs",
}


def require_column(of: Table, name: str, key: str) -> ColumnProfile:
    """The profile of a column that the user names.

    Args:
        of: The table.
        name: The column.
        key: What names it, for messages.

    Raises:
        DlrunError: If there is no such column.
    """
    if name not in of.profiles:
        from difflib import get_close_matches

        near = get_close_matches(name, of.profiles, n=1)
        some = ", ".join(list(of.profiles)[:12]) + (", ..." if len(of.profiles) > 12 else "")
        hint = _delimiter_hint(of, name) or (_typed(f"{key}=", near[0]) if near else None)
        raise DlrunError(f"{key}={name}: {of.path} has no such column; it has {some}", hint=hint)
    return of.profiles[name]


def _typed(key: str, name: str) -> str:
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
            _refuse_mistakes(of, profile, "data.target", "data.kind=classification")
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
            hint="data.kind=regression, or choose another column",
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
            hint="data.kind=regression"
            if _has_numbers(profile)
            else "choose a column whose values repeat",
        )
    few = [name for name in classes if profile.counts[name] < 2]
    if few:
        raise DlrunError(
            f"data.target={profile.name}: class {few[0]} has one row, which can't be both in"
            " training and in the test" + (f"; {len(few)} such classes" if len(few) > 1 else ""),
            hint="collect more rows of it, or remove it"
            if profile.type == "string"
            else "data.kind=regression, or remove it",
        )
    return Target(kind, names, classes)


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

    from dlrun.data.encode_rows import BatchColumns, at_row  # which imports this module

    counts, start = np.zeros(len(target.classes), np.int64), 0
    for batch in of.batches():
        mask = of.splits[start : start + len(batch)] != LEFT_OUT
        rows = batch.select(list(target.columns)).filter(pa.array(mask))
        with at_row(of, start, mask):
            labels = target.encode(BatchColumns(rows))
        counts += labels.sum(axis=0, dtype=np.int64)
        start += len(batch)
    return dict(zip(target.classes, counts.tolist(), strict=True))


def require_numbers(of: Table, profile: ColumnProfile, key: str) -> None:
    """Refuse texts in a column of numbers, by row."""
    if profile.type in ("int64", "double", "bool") or (
        profile.type == "string" and not profile.wrong
    ):
        return
    row, value = profile.wrong or (0, profile.examples[0])
    raise DlrunError(
        f"{key}: column '{profile.name}', row {row + 1:,} is {value!r:.80}, expected a number",
        hint=correct(of, value) if profile.numeric >= HALF else "choose a column of numbers",
    )


def find_inputs(of: Table) -> dict[str, tuple[str, dict[str, Any]]]:
    """The kind of each input column, and its options.

    Raises:
        DlrunError: If one is not what is said of it, or there is none.
    """
    used = {column for target in of.labels.values() for column in target.columns}
    for key, names in (("data.columns", of.given), ("data.drop", of.drop)):
        for name in names:
            require_column(of, name, key)
    if of.weight is not None:
        require_numbers(of, require_column(of, of.weight, "data.weight"), "data.weight")
    aside = {*used, *of.drop, of.weight}
    if (way := of.way).by is not None:
        require_column(of, way.by, "data.by")
        aside.add(way.by) if way.way != "time" else None
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, profile in of.profiles.items():
        if name in aside:
            continue
        given = of.given.get(name)
        own = dict(given) if isinstance(given, Mapping) else {}
        kind = own.pop("kind", None) if isinstance(given, Mapping) else given
        if kind in ("drop", "left out") or (kind is None and _names_splits(profile)):
            continue
        if kind is None:
            kind = profile.kind
            other = kind if kind in columns.kinds() else "drop"
            _refuse_mistakes(of, profile, "data", f"data.columns.{name}={other}")
            if kind not in columns.kinds():
                continue
        if kind == "number":
            require_numbers(of, profile, "data.columns")
        options = {**of.kind_options.get(str(kind), {}), **own}
        try:
            columns.fitter(str(kind), name, options)
        except (ValueError, TypeError) as error:
            raise DlrunError(f"data: {error}", hint=f"data.columns.{name}=KIND") from error
        found[name] = (str(kind), options)
    if not found:
        raise _nothing_to_learn_from(of, {*aside, *of.given})
    return found


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
    kind = "number" if ids and _has_numbers(ids[0]) else "category"
    return DlrunError(
        f"data: {of.path} has no column to learn from"
        + ("".join(why[:3]) or " beside those that are named"),
        hint=f"data.columns.{ids[0].name}={kind} takes it all the same"
        if ids
        else "see 'dlrun data' for what each is",
    )


def _has_numbers(profile: ColumnProfile) -> bool:
    """Whether all values are numbers, of texts those that are no codes such as 0127."""
    if profile.type != "string":
        return profile.type in ("int64", "double")
    return profile.numeric == 1 and not any(map(CODE.match, (*profile.examples, *profile.counts)))


def correct(of: Table, value: object) -> str:
    """How to mend a wrong value, for hints; only a text may stand for a missing one."""
    if value is None:
        return "fill it in, or remove the row"
    is_text = isinstance(value, str) and of.has_missing and of.files.format in ("csv", "jsonl")
    if not is_text or not PLAIN.fullmatch(str(value)):
        return "correct it"
    return f"correct it, or 'data.missing=[{value}]' if it stands for a missing value"


def _refuse_mistakes(of: Table, profile: ColumnProfile, key: str, keep: str) -> None:
    """Refuse a column of numbers or dates with others among them; ``keep`` is how to keep it."""
    if profile.type != "string":
        return
    # Texts that all differ are left out as ids, and so would be the numbers among them.
    is_id = profile.kind == "id" and not IDENTIFIER.search(profile.name)
    least = HALF if is_id else MOST
    for share, wrong, what in (
        (profile.numeric, profile.wrong, "numbers"),
        (profile.dated, profile.undated, "dates"),
    ):
        if wrong and least <= share < 1:
            row, value = wrong
            raise DlrunError(
                f"{key}: column '{profile.name}': row {row + 1:,} is {value!r:.80}, but"
                f" {share:.0%} of the rows are {what}",
                hint=f"{correct(of, value)}, or {keep}",
            )


def find_notes(of: Table) -> list[str]:
    """What was decided that one may not expect, one line each."""
    notes = []
    used = {column for target in of.labels.values() for column in target.columns}
    for name, profile in of.profiles.items():
        if name in of.given or name in used or name in (*of.drop, of.weight, of.way.by):
            continue
        if name not in of.inputs and (reason := LEFT_OUT_AS.get(profile.kind)):
            notes.append(f"column '{name}' is left out: {reason}")
        elif name not in of.inputs and _names_splits(profile):
            notes.append(f"column '{name}' is left out: data.split={of.way.way} does not go by it")
        notes += _looks_like(profile)
    return [*notes, *missing_target_notes(of)]


def _looks_like(profile: ColumnProfile) -> list[str]:
    """What else a column of texts may be, as a line; none if it is what it looks like."""
    name = profile.name
    if profile.kind not in ("category", "id") or profile.type != "string":
        return []
    if form := date_format(profile.examples):
        how = f"""'data.columns.{name}={{kind: date, format: "{form}"}}'"""
        return [f"column '{name}' looks like dates: {how} reads them"]
    many = profile.distinct is None or profile.distinct > MANY_CLASSES
    if many and _has_numbers(profile):
        return [f"column '{name}' has numbers as texts: data.columns.{name}=number reads them"]
    if profile.kind == "category" and many and profile.wrong and profile.numeric >= HALF:
        row, value = profile.wrong
        return [
            f"column '{name}' is taken for categories: {profile.numeric:.0%} of the rows are"
            f" numbers, and row {row + 1:,} is {value!r:.80}"
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

"""A table: its columns are the inputs and the targets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data import columns, encode
from dlrun.data.cache import cached, content_key, key_of
from dlrun.data.columns import to_numbers, to_texts
from dlrun.data.columns.date import to_seconds
from dlrun.data.profile import ColumnProfile, profile_table
from dlrun.data.source import Description
from dlrun.data.splits import (
    LEFT_OUT,
    TEST,
    TRAIN,
    VALIDATION,
    SplitOptions,
    file_split,
    resolve_way,
    split_rows,
)
from dlrun.data.tables import TableFiles, TableOptions, find_files
from dlrun.data.targets import KINDS, Target, split_list
from dlrun.errors import DlrunError
from dlrun.system.files import is_dir

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec

log = logging.getLogger("dlrun")

TABLE, PROFILE = "table.arrow", "profile.json"
BINS = 20  # of a histogram
NUMERIC = 0.9  # a column of texts that are numbers to this share is one with mistakes


def table(
    *,
    path: str,
    target: str | Sequence[str] | None = None,
    format: str | None = None,
    kind: str | None = None,
    columns: Mapping[str, Any] | None = None,
    drop: Sequence[str] = (),
    weight: str | None = None,
    split: str = "auto",
    by: str | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    folds: int | None = None,
    fold: int = 0,
    seed: int = 0,
    numbers: Mapping[str, Any] | None = None,
    categories: Mapping[str, Any] | None = None,
    texts: Mapping[str, Any] | None = None,
    delimiter: str | None = None,
    decimal: str = ".",
    missing: Sequence[str] = (),
    limit: int | None = None,
    cache_gb: float = 10.0,
) -> Table:
    """Rows of a table; what its columns are is found, unless it is said.

    Args:
        path: A file, a folder of files, or a pattern.
        target: The column to predict, or several; None only to describe the table.
        format: csv, jsonl, parquet or arrow; None goes by the suffix.
        kind: The task, one of :data:`dlrun.data.targets.KINDS`; None is found from the target.
        columns: What a column is: a kind of :mod:`dlrun.data.columns`, or a mapping with ``kind``
            and its options, or ``drop``. The others are found.
        drop: Columns to leave out.
        weight: The column of sample weights.
        split: As :class:`dlrun.data.splits.SplitOptions`, like the following six.
        by: The column to split by.
        validation: The share, or the number, of rows to validate on.
        test: The share, or the number, of rows to test on.
        folds: Parts for cross-validation.
        fold: The part to test on.
        seed: Seeds the split.
        numbers: Options of all columns of numbers.
        categories: Options of all columns of categories.
        texts: Options of all columns of texts.
        delimiter: As :class:`dlrun.data.tables.TableOptions`, like the following two.
        decimal: The decimal point of a CSV.
        missing: Texts that stand for a missing value.
        limit: Keep the first N rows of each split.
        cache_gb: What the data cache may hold, in GB.

    Raises:
        DlrunError: If an argument is impossible.
    """
    options = SplitOptions(split, by, validation, test, folds, fold, seed)
    options.check()
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    if len(set(targets)) < len(targets):
        raise DlrunError("data.target: expected different columns", hint="data.target=COLUMN")
    if kind is not None and kind not in KINDS:
        raise DlrunError(f"data.kind={kind}: expected {', '.join(KINDS)}")
    if limit is not None and limit < 1:
        raise DlrunError(f"data.limit={limit}: must be at least 1")
    return Table(
        path=path,
        format=format,
        table_options=TableOptions(delimiter, decimal, tuple(map(str, missing))),
        targets=targets,
        kind=kind,
        given=dict(columns or {}),
        drop=tuple(drop),
        weight=weight,
        split_options=options,
        kind_options={
            "number": dict(numbers or {}),
            "category": dict(categories or {}),
            "text": dict(texts or {}),
        },
        limit=limit,
        cache_bytes=cache_gb * 1e9,
    )


@dataclass(frozen=True)
class Table:
    """A table as a :class:`dlrun.data.source.Source`; the arguments are those of :func:`table`."""

    path: str
    format: str | None
    table_options: TableOptions
    targets: tuple[str, ...]
    kind: str | None
    given: Mapping[str, Any]
    drop: tuple[str, ...]
    weight: str | None
    split_options: SplitOptions
    kind_options: Mapping[str, Mapping[str, Any]]
    limit: int | None
    cache_bytes: float

    @property
    def files(self) -> TableFiles:
        """What is read."""
        return find_files(self.path, self.format, self.table_options)

    @cached_property
    def _entry(self) -> Path:
        """The table in the cache, as an Arrow file with its profile."""
        files = self.files

        def make(directory: Path) -> None:
            rows = files.convert(directory / TABLE)
            profiles = profile_table(batches(directory / TABLE))
            content = {
                "files": [[name, n] for name, n in zip(names, rows, strict=True)],
                "columns": [profile.to_dict() for profile in profiles.values()],
            }
            (directory / PROFILE).write_text(json.dumps(content), encoding="utf-8")

        names = [_relative(path, self.path) for path in files.paths]
        try:
            content = content_key(list(files.paths))
        except OSError as error:
            raise DlrunError(f"data.path={self.path} can't be read: {error.strerror}") from error
        key = key_of("table", content, names, files.format, vars(self.table_options))
        return cached(key, make, limit_bytes=self.cache_bytes)

    @cached_property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self._entry / PROFILE).read_text(encoding="utf-8"))
        return content

    @cached_property
    def profiles(self) -> dict[str, ColumnProfile]:
        """Each column, in the table's order."""
        found = {}
        for entry in self._content["columns"]:
            wrong = entry.pop("wrong")
            found[entry["name"]] = ColumnProfile(**entry, wrong=tuple(wrong) if wrong else None)
            entry["wrong"] = wrong
        return found

    @cached_property
    def labels(self) -> dict[str | None, Target]:
        """The outputs, by name; None is a single one. Their numbers are not measured yet."""
        return _find_targets(self)

    @cached_property
    def inputs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The kind of each input column, and its options."""
        return _find_inputs(self)

    @cached_property
    def notes(self) -> list[str]:
        """What was decided that one may not expect, one line each."""
        return _notes(self)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in the table's order."""
        return batches(self._entry / TABLE)

    @cached_property
    def splits(self) -> np.ndarray:
        """The split of each row, ``(rows,)`` uint8."""
        return _split(self)

    def tasks(self) -> Mapping[str | None, str]:
        """See :class:`dlrun.data.source.Source`."""
        return {name: target.kind for name, target in self.labels.items()}

    def describe(self) -> Description:
        """See :class:`dlrun.data.source.Source`; without a target, of the columns alone."""
        if not self.targets:
            return Description(
                source=self.path,
                samples=next(iter(self.profiles.values())).rows,
                splits={},
                columns=[
                    self._describe(profile, profile.kind) for profile in self.profiles.values()
                ],
                notes=["data.target=COLUMN names the column to predict"],
            )
        counts = np.bincount(self.splits, minlength=4)
        outputs = {name or target.columns[0]: target for name, target in self.labels.items()}
        used = {column: "target" for target in outputs.values() for column in target.columns}
        used |= {self.weight: "weight"} if self.weight else {}
        used |= {name: kind for name, (kind, _) in self.inputs.items()}
        if self._way.by is not None:
            used.setdefault(self._way.by, "split")
        return Description(
            source=self.path,
            samples=int(counts[:LEFT_OUT].sum()),
            splits={name: int(counts[code]) for name, code in encode.SPLITS.items()},
            columns=[
                self._describe(profile, used.get(name, "left out"))
                for name, profile in self.profiles.items()
            ],
            tasks={name: target.kind for name, target in outputs.items()},
            classes={
                name: _class_counts(self, target)
                for name, target in outputs.items()
                if target.classes
            },
            notes=self.notes,
            explicit=self._explicit(),
        )

    def _describe(self, profile: ColumnProfile, kind: str) -> dict[str, Any]:
        return {
            "name": profile.name,
            "type": profile.type,
            "kind": kind,
            "missing": profile.missing,
            "distinct": profile.distinct,
            "low": profile.low,
            "high": profile.high,
            "mean": profile.mean,
            "counts": dict(list(profile.counts.items())[:20]),
            "examples": profile.examples,
            "histogram": self._histograms.get(profile.name),
        }

    @cached_property
    def _histograms(self) -> dict[str, dict[str, list[Any]]]:
        """For each column of numbers, the edges of 20 bins and how many values are in each."""
        edges = {
            name: np.linspace(profile.low, profile.high, BINS + 1)
            for name, profile in self.profiles.items()
            if profile.type in ("int64", "double", "timestamp[us]")
            and profile.low is not None
            and profile.high is not None
            and profile.low < profile.high
        }
        counts = {name: np.zeros(BINS, np.int64) for name in edges}
        for batch in self.batches():
            for name, of in edges.items():
                values = batch.column(name)
                is_time = self.profiles[name].type.startswith("timestamp")
                numbers = to_seconds(name, values) if is_time else to_numbers(name, values)
                counts[name] += np.histogram(numbers[~np.isnan(numbers)], of)[0]
        return {
            name: {"edges": of.tolist(), "counts": counts[name].tolist()}
            for name, of in edges.items()
        }

    def _explicit(self) -> dict[str, Any]:
        used = {column for target in self.labels.values() for column in target.columns}
        used |= {self.weight or "", self._way.by or "", *self.inputs}
        kinds = {target.kind for target in self.labels.values()}
        return {
            "path": self.path,
            "target": list(self.targets) if len(self.targets) > 1 else self.targets[0],
            "kind": kinds.pop() if len(kinds) == 1 else None,
            "columns": {
                name: {"kind": kind, **options} if options else kind
                for name, (kind, options) in self.inputs.items()
            },
            "drop": [name for name in self.profiles if name not in used],
            "split": self._way.way,
            "by": self._way.by,
        }

    @cached_property
    def _way(self) -> SplitOptions:
        files = [file_split(name) for name, _ in self._content["files"]]
        [first, *more] = self.labels.values()
        classes = not more and first.kind in ("classification", "binary_classification")
        return resolve_way(self.split_options, list(self.profiles), files, classes=classes)

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        for note in self.notes:
            log.info("data   %s", note)
        return encode.dataset(self, saved)


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file, read one at a time."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            yield file.get_batch(number)


def _relative(path: Path, root: str) -> str:
    folder = Path(root)
    return str(path.relative_to(folder)) if is_dir(folder) else path.name


def _require_column(of: Table, name: str, key: str) -> ColumnProfile:
    if name not in of.profiles:
        from difflib import get_close_matches

        near = get_close_matches(name, of.profiles, n=1)
        some = ", ".join(list(of.profiles)[:12]) + (", ..." if len(of.profiles) > 12 else "")
        raise DlrunError(
            f"{key}={name}: {of.path} has no such column; it has {some}",
            hint=f"{key}={near[0]}" if near else None,
        )
    return of.profiles[name]


def _find_targets(of: Table) -> dict[str | None, Target]:
    if not of.targets:
        some = ", ".join(list(of.profiles)[:12]) + (", ..." if len(of.profiles) > 12 else "")
        raise DlrunError(
            f"data.target: needs a column of {of.path}: {some}",
            hint=f"data.target={list(of.profiles)[-1]}; 'dlrun data' tells what each holds",
        )
    profiles = [_require_column(of, name, "data.target") for name in of.targets]
    for profile in profiles:
        if profile.missing == profile.rows:
            raise DlrunError(f"data.target={profile.name}: the column has no values")
        if profile.distinct == 1 and not profile.type.startswith("list"):
            raise DlrunError(
                f"data.target={profile.name}: every row is {next(iter(profile.counts))}",
                hint="choose a column that varies",
            )
    kinds = [of.kind or profile.target_kind for profile in profiles]
    if len(profiles) == 1:
        return {None: _target(of, kinds[0], profiles)}
    if of.kind in ("regression", "multilabel") or set(kinds) == {"regression"}:
        return {None: _target(of, kinds[0], profiles)}
    if set(kinds) == {"binary_classification"} and of.kind is None and _are_flags(profiles):
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
            _require_numbers(of, profile, "data.target")
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
            hint="choose a column whose values repeat",
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


def _class_counts(of: Table, target: Target) -> dict[str, int]:
    if target.kind == "multilabel" and not target.is_list:
        counts = {}
        for name in target.columns:
            values = of.profiles[name].counts
            counts[name] = sum(
                n for text, n in values.items() if text.lower() in ("true", "1", "yes")
            )
        return counts
    counts = of.profiles[target.columns[0]].counts
    return {name: counts.get(name, 0) for name in target.classes}


def _require_numbers(of: Table, profile: ColumnProfile, key: str) -> None:
    """Refuse texts in a column of numbers, by row."""
    if profile.type in ("int64", "double", "bool") or (
        profile.type == "string" and not profile.wrong
    ):
        return
    row, value = profile.wrong or (0, profile.examples[0])
    raise DlrunError(
        f"{key}: column '{profile.name}', row {row + 1:,} is {value!r:.80}, expected a number",
        hint=f"correct it, or 'data.missing=[{value[:40]}]' if it stands for a missing value",
    )


def _find_inputs(of: Table) -> dict[str, tuple[str, dict[str, Any]]]:
    used = {column for target in of.labels.values() for column in target.columns}
    for key, names in (("data.columns", of.given), ("data.drop", of.drop)):
        for name in names:
            _require_column(of, name, key)
    if of.weight is not None:
        _require_numbers(of, _require_column(of, of.weight, "data.weight"), "data.weight")
    aside = {*used, *of.drop, of.weight}
    if (way := of._way).by is not None:
        _require_column(of, way.by, "data.by")
        aside.add(way.by) if way.way != "time" else None
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, profile in of.profiles.items():
        if name in aside:
            continue
        given = of.given.get(name)
        own = dict(given) if isinstance(given, Mapping) else {}
        kind = own.pop("kind", None) if isinstance(given, Mapping) else given
        if kind in ("drop", "left out"):
            continue
        if kind is None:
            kind = profile.kind
            _refuse_almost_numbers(of, profile, kind)
            if kind not in columns.kinds():
                continue
        if kind == "number":
            _require_numbers(of, profile, "data.columns")
        options = {**of.kind_options.get(str(kind), {}), **own}
        try:
            columns.fitter(str(kind), name, options)
        except (ValueError, TypeError) as error:
            raise DlrunError(f"data: {error}", hint=f"+data.columns.{name}=KIND") from error
        found[name] = (str(kind), options)
    if not found:
        raise DlrunError(
            f"data: {of.path} has no column to learn from", hint="see 'dlrun data' for what each is"
        )
    return found


def _refuse_almost_numbers(of: Table, profile: ColumnProfile, kind: str) -> None:
    if profile.type == "string" and NUMERIC <= profile.numeric < 1 and profile.wrong:
        row, value = profile.wrong
        raise DlrunError(
            f"data: column '{profile.name}': row {row + 1:,} is {value!r:.80}, but"
            f" {profile.numeric:.0%} of the rows are numbers",
            hint=f"correct it, or 'data.missing=[{value[:40]}]' if it stands for a missing value,"
            f" or +data.columns.{profile.name}={kind}",
        )


def _notes(of: Table) -> list[str]:
    notes = []
    why = {
        "id": "each row has another value, like an id",
        "constant": "all values are equal",
        "empty": "it has no values",
        "list": "lists are no inputs",
    }
    used = {column for target in of.labels.values() for column in target.columns}
    for name, profile in of.profiles.items():
        if name in of.inputs or name in used or name in (*of.drop, of.weight, of._way.by):
            continue
        if name not in of.given and (reason := why.get(profile.kind)):
            notes.append(f"column '{name}' is left out: {reason}")
    if missing := int((of.splits == LEFT_OUT).sum()):
        are = "rows have" if missing > 1 else "row has"
        notes.append(f"{missing:,} {are} no target, and are left out")
    return notes


def _split(of: Table) -> np.ndarray:
    """The split of each row; rows without a target are left out."""
    import pyarrow as pa

    way, labels = of._way, of.labels
    stratify = next(iter(labels.values())) if way.way == "stratified" else None
    if stratify is not None and stratify.kind not in ("classification", "binary_classification"):
        raise DlrunError(
            "data.split=stratified is for a single target of classes", hint="data.split=random"
        )
    needed = [column for target in labels.values() for column in target.columns]
    there, values, classes = [], [], []
    for batch in of.batches():
        mask = np.ones(len(batch), bool)
        for name in needed:
            mask &= ~batch.column(name).is_null().to_numpy(zero_copy_only=False)
        there.append(mask)
        kept = batch.filter(pa.array(mask)) if not mask.all() else batch
        if way.by is not None:
            _require_column(of, way.by, "data.by")
            column = kept.column(way.by)
            if way.way == "time":
                values.extend(_times(of, way.by, column).tolist())
            else:
                values.extend(to_texts(column).to_pylist())
        if stratify is not None:
            classes.append(stratify.encode({stratify.columns[0]: kept.column(stratify.columns[0])}))
    mask = np.concatenate(there)
    files = None
    if way.way == "files":
        codes = [file_split(name) for name, _ in of._content["files"]]
        counts = [rows for _, rows in of._content["files"]]
        if None in codes:
            name = of._content["files"][codes.index(None)][0]
            raise DlrunError(
                f"data.split=files: {name} names no split", hint="call it train, validation or test"
            )
        files = np.repeat(np.asarray(codes, np.uint8), counts)[mask]
    splits = np.full(len(mask), LEFT_OUT, np.uint8)
    splits[mask] = split_rows(
        int(mask.sum()),
        way,
        values=values,
        classes=np.concatenate(classes) if classes else None,
        files=files,
    )
    if of.limit is not None:
        for split in (TRAIN, VALIDATION, TEST):
            splits[np.flatnonzero(splits == split)[of.limit :]] = LEFT_OUT
    return splits


def _times(of: Table, name: str, values: Any) -> np.ndarray:
    given = of.given.get(name)
    form = given.get("format") if isinstance(given, Mapping) else None
    if of.profiles[name].type in ("int64", "double"):
        numbers: np.ndarray = values.cast("double").to_numpy(zero_copy_only=False)
        return numbers
    try:
        return to_seconds(name, values, form)
    except ValueError as error:
        raise DlrunError(
            f"data.by={name}: {error}", hint=f"+data.columns.{name}={{kind: date, format: ...}}"
        ) from error

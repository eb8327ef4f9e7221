"""Which rows train, validate and test: a function of the seed and of the rows alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlrun.data.splits import BY_COLUMN, NAMES, TEST, TRAIN, VALIDATION, SplitOptions
from dlrun.errors import DlrunError


def split_rows(
    rows: int,
    options: SplitOptions,
    *,
    values: Any = None,
    classes: np.ndarray | None = None,
    files: np.ndarray | None = None,
    numbers: Sequence[int] | None = None,
) -> np.ndarray:
    """The split of each row, ``(rows,)`` uint8.

    Args:
        rows: How many there are, without those that are left out.
        options: With a way other than ``auto``.
        values: For ``hash``, ``group``, ``time`` and ``column``: what is in the column ``by``, a
            list of texts, or for ``time`` of seconds.
        classes: For ``stratified``: the class number of each row.
        files: For ``files``: the split of each row's file.
        numbers: What to call each row, for messages; None counts them from 1.

    Raises:
        DlrunError: If a row has no value that it is split by, or a split that is needed would be
            empty.
    """
    numbers = range(1, rows + 1) if numbers is None else numbers
    if options.way in BY_COLUMN:
        _require_values(values, options, numbers)
    if options.folds and options.folds > rows:
        raise DlrunError(
            f"data.folds={options.folds}: there are {rows:,} rows", hint="data.folds=5"
        )
    generator = np.random.default_rng(options.seed)
    way, splits = options.way, np.zeros(rows, np.uint8)
    if way in ("column", "files"):
        splits = (
            _by_name(values, options, numbers)
            if way == "column"
            else np.asarray(files, np.uint8).copy()
        )
        _complete(splits, options, generator)
    elif way == "hash":
        splits = _by_hash(values, options)
    elif way == "time":
        splits = _in_time(np.asarray(values, np.float64), options)
    elif way == "group":
        splits = _by_group(values, options, generator)
    else:
        strata = classes if way == "stratified" else np.zeros(rows, np.int64)
        splits = _draw(np.asarray(strata), options, generator)
    _require_rows(splits, options)
    return splits


def _sizes(rows: int, options: SplitOptions) -> tuple[int, int]:
    """How many rows to validate and to test on."""
    sizes = []
    for share in (options.validation, options.test):
        size = round(rows * share) if share < 1 else int(share)
        sizes.append(max(size, 1) if share else 0)
    return sizes[0], sizes[1]


def _draw(strata: np.ndarray, options: SplitOptions, generator: np.random.Generator) -> np.ndarray:
    """Random rows of each stratum, in proportion to its size.

    All rows are drawn; sorted by stratum, every n-th of them is taken, so that each stratum has its
    share to within one row, and the sizes are exact.
    """
    rows = len(strata)
    order = generator.permutation(rows)
    order = order[np.argsort(strata[order], kind="stable")]
    splits = np.zeros(rows, np.uint8)
    if options.folds:
        part = np.arange(rows) % options.folds
        splits[order[part == options.fold]] = TEST
        rest = order[part != options.fold]
        validation, _ = _sizes(len(rest), options)
        splits[_spread(rest, validation)] = VALIDATION
        return splits
    validation, test = _sizes(rows, options)
    splits[_spread(order, test)] = TEST
    rest = order[splits[order] == TRAIN]
    splits[_spread(rest, min(validation, len(rest)))] = VALIDATION
    return splits


def _spread(order: np.ndarray, count: int) -> np.ndarray:
    """So many of these, evenly spread."""
    count = min(count, len(order))
    places = np.floor((np.arange(count) + 0.5) * len(order) / max(count, 1)).astype(np.int64)
    return order[places]


def _require_values(values: Sequence[Any], options: SplitOptions, numbers: Sequence[int]) -> None:
    """Refuse a row without a value: all of these would be one group, or have one id."""
    for value, number in zip(values, numbers, strict=True):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            what = {"time": "time", "hash": "id", "group": "group"}.get(options.way, "value")
            raise DlrunError(
                f"data.by={options.by}: row {number:,} has no {what}",
                hint="fill it in, remove the row, or choose another data.split",
            )


def _by_name(values: Sequence[Any], options: SplitOptions, numbers: Sequence[int]) -> np.ndarray:
    splits = np.zeros(len(values), np.uint8)
    known: dict[Any, int] = {}
    for row, value in enumerate(values):
        if value not in known:
            split = NAMES.get(str(value).strip().lower())
            if split is None:
                raise DlrunError(
                    f"data.split=column: row {numbers[row]:,} of column '{options.by}' is"
                    f" {value!r:.80}, expected train, validation or test",
                    hint=f"data.split=random, and leave the column out: data.drop=[{options.by}]",
                )
            known[value] = split
        splits[row] = known[value]
    return splits


def _complete(splits: np.ndarray, options: SplitOptions, generator: np.random.Generator) -> None:
    """Draw what is not named, to test or to validate on, from the training rows."""
    options.refuse_unused(splits)
    train = generator.permutation(np.flatnonzero(splits == TRAIN))
    validation, test = _sizes(len(train), options)
    for split, size in ((TEST, test), (VALIDATION, validation)):
        if split not in splits:
            splits[train[:size]] = split
            train = train[size:]


def _by_hash(values: Sequence[Any], options: SplitOptions) -> np.ndarray:
    """By the hash of an id: rows that are added later leave the others where they were."""
    shares = (options.validation, options.test)
    if not all(share < 1 for share in shares):
        raise DlrunError(
            "data.split=hash takes shares, not numbers of rows", hint="data.validation=0.15"
        )
    key = str(options.seed).encode()
    places = np.empty(len(values))
    for row, value in enumerate(values):
        digest = hashlib.blake2b(str(value).encode(), digest_size=8, key=key).digest()
        places[row] = int.from_bytes(digest, "big") / 2**64
    splits = np.zeros(len(values), np.uint8)
    if options.folds:
        low = options.fold / options.folds
        test = (places >= low) & (places < (options.fold + 1) / options.folds)
        rest = (places - low) % 1  # from 1 / folds on
        start = 1 / options.folds
        share = (1 - start) * options.validation
        splits[~test & (rest < start + share)] = VALIDATION
        splits[test] = TEST
        return splits
    splits[places < options.test + options.validation] = VALIDATION
    splits[places < options.test] = TEST
    return splits


def _by_group(
    values: Sequence[Any], options: SplitOptions, generator: np.random.Generator
) -> np.ndarray:
    """Whole groups, in random order, until a split has its rows."""
    names, groups = np.unique(np.asarray([str(value) for value in values]), return_inverse=True)
    counts = np.bincount(groups, minlength=len(names))
    order = generator.permutation(len(names))
    of_group = np.zeros(len(names), np.uint8)
    if options.folds:
        # The largest first, each to the smallest part: as even as groups allow.
        sizes = np.zeros(options.folds)
        part = np.zeros(len(names), np.int64)
        for group in order[np.argsort(-counts[order], kind="stable")]:
            part[group] = int(sizes.argmin())
            sizes[part[group]] += counts[group]
        of_group[part == options.fold] = TEST
        validation, _ = _sizes(int(counts[of_group == TRAIN].sum()), options)
        wanted = [(VALIDATION, validation)]
    else:
        validation, test = _sizes(len(values), options)
        wanted = [(TEST, test), (VALIDATION, validation)]
    for split, size in wanted:
        taken = 0
        for group in order:
            if of_group[group] == TRAIN and taken < size:
                of_group[group] = split
                taken += int(counts[group])
    splits: np.ndarray = of_group[groups]
    return splits


def _in_time(seconds: np.ndarray, options: SplitOptions) -> np.ndarray:
    """The latest rows test, those before them validate; equal times stay together."""
    ordered = np.sort(seconds)
    validation, test = _sizes(len(seconds), options)
    splits = np.zeros(len(seconds), np.uint8)
    if validation:
        splits[seconds >= ordered[max(len(seconds) - test - validation, 0)]] = VALIDATION
    if test:
        splits[seconds >= ordered[len(seconds) - test]] = TEST
    return splits


def _require_rows(splits: np.ndarray, options: SplitOptions) -> None:
    counts = np.bincount(splits, minlength=4)
    needed = {"train": TRAIN, "test": TEST}
    needed |= {"validation": VALIDATION} if options.validation else {}
    for name, split in needed.items():
        if not counts[split]:
            raise DlrunError(
                f"data.split={options.way}: the {name} split is empty: {counts[TRAIN]:,} rows to"
                f" train, {counts[VALIDATION]:,} to validate, {counts[TEST]:,} to test",
                hint="change data.folds, data.validation or data.split"
                if options.folds
                else "change data.validation, data.test or data.split",
            )

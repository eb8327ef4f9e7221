"""What splits there are, and the ways in which rows are split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dlrun.errors import DlrunError

TRAIN, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, 3
PAST_LIMIT = 4  # as LEFT_OUT, but for data.limit alone
SPLITS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
WAYS = ("auto", "random", "stratified", "hash", "group", "time", "column", "files")
BY_COLUMN = ("hash", "group", "time", "column")
SHARE = 0.15  # to validate and to test on, unless told; where there is no choice, it means nothing
# The names of splits in columns, folders and files.
NAMES = {
    "train": TRAIN, "training": TRAIN,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip


@dataclass(frozen=True)
class SplitOptions:
    """How to split a table.

    Args:
        way: One of :data:`WAYS`. ``auto``: by a column called ``split``, by folders or files called
            train, validation and test, else stratified for classes, else random.
        by: The column for ``hash``, ``group``, ``time`` and ``column``.
        validation: The share of the rows to validate on if it is below 1, else their number.
        test: The same for the test.
        folds: For cross-validation: the test is one of so many parts.
        fold: Which part, from 0.
        seed: Seeds the draw.
    """

    way: str = "auto"
    by: str | None = None
    validation: float = SHARE
    test: float = SHARE
    folds: int | None = None
    fold: int = 0
    seed: int = 0

    def check(self) -> None:
        """Check the options alone.

        Raises:
            DlrunError: If one is impossible.
        """
        if self.way not in WAYS:
            raise DlrunError(f"data.split={self.way}: expected {', '.join(WAYS)}")
        for name, share in (("validation", self.validation), ("test", self.test)):
            is_number = isinstance(share, int | float)
            if not is_number or not share >= 0 or (share > 1 and share % 1):  # nor is it nan or inf
                typed = "null" if share is None else share
                raise DlrunError(
                    f"data.{name}={typed}: expected a share of the rows, from 0 to 1, or their"
                    " number",
                    hint=f"data.{name}=0.15",
                )
        if type(self.seed) is not int or self.seed < 0:
            raise DlrunError(f"data.seed={self.seed}: expected an integer from 0")
        self._check_folds()
        if (self.way in BY_COLUMN) != (self.by is not None):
            if self.by is None:
                raise DlrunError(f"data.split={self.way} needs a column", hint="data.by=COLUMN")
            raise DlrunError(
                f"data.by={self.by}: data.split={self.way} takes no column",
                hint=f"data.split={', '.join(BY_COLUMN)} take one",
            )

    def _check_folds(self) -> None:
        hint = "dlrun sweep data.folds=5 'data.fold=range(5)'"
        if self.folds is None:
            if self.fold:
                raise DlrunError(
                    f"data.fold={self.fold}: needs the number of folds, data.folds", hint=hint
                )
            return
        if type(self.folds) is not int or not 0 <= self.fold < self.folds > 1:
            raise DlrunError(
                f"data.folds={self.folds}, data.fold={self.fold}: expected a fold from 0 to below"
                " the number of folds, which is at least 2",
                hint=hint,
            )
        if self.test != SHARE:
            raise DlrunError(
                f"data.test={self.test:g}: with data.folds={self.folds}, one of the folds is the"
                " test",
                hint="leave data.test or data.folds out",
            )
        if self.way in ("time", "column", "files"):
            raise DlrunError(
                f"data.folds={self.folds}: a split by {self.way} has no folds",
                hint="data.split=random, or another that draws the rows",
            )

    def refuse_unused(self, named: np.ndarray) -> None:
        """Refuse the size of a split whose rows are named.

        Args:
            named: The split of each row, ``(rows,)``.

        Raises:
            DlrunError: If ``validation`` or ``test`` was set, and would have no effect.
        """
        what = f"column '{self.by}'" if self.way == "column" else "the names of folders or files"
        sizes = {"validation": self.validation, "test": self.test}
        for name, share in sizes.items():
            if share != SHARE and SPLITS[name] in named:
                raise DlrunError(
                    f"data.{name}={share:g}: the {name} split is already named, by {what}",
                    hint=f"leave data.{name} out, or draw all rows: data.split=random",
                )


def file_split(path: str) -> int | None:
    """The split that a file's name, or one of its folders', names; None for none."""
    parts = path.lower().replace("\\", "/").split("/")
    for part in (*parts[:-1], parts[-1].partition(".")[0]):
        for word in (part, part.partition("-")[0], part.partition("_")[0]):
            if word in NAMES:
                return NAMES[word]
    return None


def resolve_way(
    options: SplitOptions, columns: Sequence[str], files: Sequence[int | None], *, classes: bool
) -> SplitOptions:
    """The options with the way that ``auto`` stands for.

    Args:
        options: As given.
        columns: The table's.
        files: From :func:`file_split`, for each of its files.
        classes: Whether the target is classes.
    """
    if options.way != "auto":
        return options
    if options.folds is None and options.by is None:
        if "split" in columns:
            return replace(options, way="column", by="split")
        if TRAIN in files and not {TEST, VALIDATION}.isdisjoint(files):
            return replace(options, way="files")
    return replace(options, way="stratified" if classes else "random")

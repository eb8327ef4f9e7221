"""A folder of texts: a file for each, in a folder for each class."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dlrun.data import columns
from dlrun.data.cache import limit_of
from dlrun.data.columns import InputColumn
from dlrun.data.columns.text import AUTO
from dlrun.data.files.text_files import FILE, LABEL, SPLIT, TEXT, TextFiles, find_texts
from dlrun.data.splits import SplitOptions
from dlrun.data.table import Table
from dlrun.data.table_formats import TableFiles, TableOptions
from dlrun.data.targets import KINDS
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec


def text_folder(
    *,
    path: str,
    classes: Sequence[str] | None = None,
    encoding: str = "utf-8",
    length: int | str = AUTO,
    vocabulary_size: int = 10_000,
    lower: bool = True,
    kind: str | None = None,
    split: str = "auto",
    validation: float = 0.15,
    test: float = 0.15,
    folds: int | None = None,
    fold: int | None = 0,
    seed: int = 0,
    limit: int | None = None,
    cache_gb: float = 10.0,
) -> TextFolder:
    """The texts of a folder, as a table with the columns text, label and file.

    Args:
        path: A folder with a folder for each class, or with such folders in ``train``,
            ``validation`` and ``test``.
        classes: The folders to take; None for all.
        encoding: Of the files.
        length: As in :class:`dlrun.data.columns.text.Fitter`, like the following two.
        vocabulary_size: Ids are below it.
        lower: Whether texts are put in lower case.
        kind: classification or binary_classification; None goes by the number of classes.
        split: As :class:`dlrun.data.splits.SplitOptions`, like the following five. ``auto`` goes by
            the folders ``train`` and ``test`` if there are, ``hash`` by the paths of the files.
        validation: The share, or the number, of texts to validate on.
        test: The share, or the number, of texts to test on.
        folds: Parts for cross-validation.
        fold: The part to test on.
        seed: Seeds the split.
        limit: Keep the first N texts of each split.
        cache_gb: What the data cache may hold, in GB.

    Raises:
        DlrunError: If an argument is impossible.
    """
    ways = ("auto", "random", "stratified", "hash")
    if split not in ways:
        raise DlrunError(f"data.split={split}: expected {', '.join(ways)}")
    options = SplitOptions(
        split, FILE if split == "hash" else None, validation, test, folds, fold or 0, seed
    )
    options.check()
    if kind is not None and kind not in KINDS[:2]:
        raise DlrunError(f"data.kind={kind}: expected {' or '.join(KINDS[:2])}")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DlrunError(
            f"data.encoding={encoding}: there is no such encoding", hint="data.encoding=utf-8"
        ) from None
    of_texts = {"length": length, "vocabulary_size": vocabulary_size, "lower": lower}
    try:
        columns.fitter("text", TEXT, of_texts)
    except ValueError as error:
        problem = str(error).partition(": ")[2].replace(" is ", "=", 1).replace(",", ":", 1)
        raise DlrunError(f"data.{problem}") from error
    return TextFolder(
        path=path,
        format=None,
        table_options=TableOptions(),
        targets=(LABEL,),
        kind=kind,
        given={},
        drop=(),
        weight=None,
        split_options=options,
        kind_options={"text": of_texts},
        limit=limit,
        cache_bytes=limit_of(cache_gb),
        classes=None if classes is None else tuple(map(str, classes)),
        encoding=encoding,
    )


@dataclass(frozen=True)
class TextFolder(Table):
    """A folder of texts as a table; see :func:`text_folder`."""

    classes: tuple[str, ...] | None
    encoding: str

    @cached_property
    def files(self) -> TableFiles:
        """See :class:`dlrun.data.table.Table`."""
        return self._texts

    @cached_property
    def _texts(self) -> TextFiles:
        found = find_texts(self.path, self.classes, self.encoding)
        counts = Counter(found.labels)
        if len(counts) < 2:
            raise DlrunError(
                f"data.path={self.path}: expected a folder for each of at least two classes, found"
                f" {', '.join(counts)}",
                hint="a text's class is the folder that it is in: reviews/good/1.txt",
            )
        if few := [name for name, count in counts.items() if count < 2]:
            more = f", as have {len(few) - 1} more" if len(few) > 1 else ""
            raise DlrunError(
                f"data.path={self.path}: class '{few[0]}' has one text{more}: it can't be both in"
                " training and in the test",
                hint="add texts to it, or leave it out by data.classes=[NAME,NAME]",
            )
        return found

    @property
    def id_column(self) -> str | None:
        """See :class:`dlrun.data.table.Table`."""
        return FILE

    @property
    def row_names(self) -> Sequence[object] | None:
        """See :class:`dlrun.data.table.Table`."""
        return self.files.paths

    @cached_property
    def inputs(self) -> dict[str, InputColumn]:
        """See :class:`dlrun.data.table.Table`."""
        return {TEXT: InputColumn("text", dict(self.kind_options["text"]))}

    @cached_property
    def notes(self) -> list[str]:
        """See :class:`dlrun.data.table.Table`."""
        notes = list(self._texts.notes)
        if empty := self.profiles[TEXT].counts.get("", 0):
            notes.append(f"{empty:,} texts are empty" if empty > 1 else "1 text is empty")
        return notes

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        dataset = super().dataset(saved)
        if saved is None and dataset.sizes[None] == (2,):  # padding and unknown words
            raise DlrunError(
                f"data.path={self.path}: no text of the training split has a word",
                hint="see whether the files are what you expect: data.encoding=...",
            )
        return dataset

    def explicit(self) -> dict[str, Any]:
        """See :class:`dlrun.data.table.Table`."""
        return {
            "path": self.path,
            "classes": list(self.labels[None].classes),
            "encoding": self.encoding,
            **self.kind_options["text"],
            "kind": self.labels[None].kind,
            "split": "auto" if self.way.by == SPLIT else self.way.way,
        }

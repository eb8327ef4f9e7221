"""Files of texts in folders, read as one table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.data.files.own_files import RELATIVE
from dlrun.data.splits import NAMES, TEST, TRAIN, VALIDATION
from dlrun.data.table_formats import TableFiles
from dlrun.errors import DlrunError
from dlrun.system.files import exists, is_dir
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    import pyarrow as pa

TEXT, LABEL, FILE, SPLIT = "text", "label", "file", "split"  # the columns
SUFFIX = ".txt"
BATCH_BYTES, BATCH_ROWS = 16 * 2**20, 10_000


@dataclass
class TextFiles(TableFiles):
    """A text in each file.

    Args:
        labels: The class of each.
        splits: The name of the folder of the split of each; empty if there are none.
        encoding: Of all files.
        notes: What was left out.
    """

    labels: Sequence[str] = ()
    splits: Sequence[str] = ()
    encoding: str = "utf-8"
    notes: list[str] = field(default_factory=list)

    def convert(self, target: Path) -> list[int]:
        """Write all texts as one Arrow file, with their classes and their paths.

        Raises:
            DlrunError: If a file can't be read.
        """
        import pyarrow as pa

        names = [TEXT, LABEL, FILE, *([SPLIT] if self.splits else [])]
        schema = pa.schema([(name, pa.string()) for name in names])
        with pa.ipc.new_file(str(target), schema) as writer:
            for batch in self._batches():
                writer.write_batch(pa.RecordBatch.from_arrays(batch, schema=schema))
        return [1] * len(self.paths)

    def _batches(self) -> Iterator[list[pa.Array]]:
        import pyarrow as pa

        first, texts, size = 0, [], 0
        for number, path in enumerate(self.paths, 1):
            texts.append(self._read(path))
            size += len(texts[-1])
            if size >= BATCH_BYTES or len(texts) >= BATCH_ROWS or number == len(self.paths):
                part = slice(first, number)
                files = [os.path.relpath(path, self.root) for path in self.paths[part]]
                columns = [texts, self.labels[part], files]
                columns += [self.splits[part]] if self.splits else []
                yield [pa.array(column, pa.string()) for column in columns]
                first, texts, size = number, [], 0

    def _read(self, path: Path) -> str:
        try:
            return read_text(path, self.encoding)
        except UnreadableTextError as error:
            other = "latin-1" if self.encoding.replace("-", "").startswith("utf8") else "utf-8"
            hint = f"data.encoding={other} if all are, or convert it: iconv -t utf-8"
            is_decoding = isinstance(error.__cause__, UnicodeDecodeError)
            raise DlrunError(
                f"data: {path} {error.reason}", hint=hint if is_decoding else None
            ) from error


class UnreadableTextError(ValueError):
    """A file that is not text in its encoding, or can't be read; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def read_text(path: Path, encoding: str) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        UnreadableTextError: If it can't be read or decoded.
    """
    try:
        return path.read_bytes().decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        reason = f"is not {encoding}: byte {error.start:,} is 0x{byte:02x}"
        raise UnreadableTextError(reason) from error
    except UnicodeError as error:  # of UTF-16 without its mark
        raise UnreadableTextError(f"is not {encoding}: {error}") from error
    except OSError as error:
        raise UnreadableTextError(f"can't be read: {error.strerror}") from error


def find_texts(path: str, classes: Sequence[str] | None, encoding: str) -> TextFiles:
    """The files of a folder, sorted by their path.

    Args:
        path: The folder.
        classes: The folders of classes to take; None for all.
        encoding: Of all files.

    Raises:
        DlrunError: If there is no text in it.
    """
    _check_folder(path)
    root = Path(path)
    tops = _folders(root)
    by_split = _are_splits(tops)
    found = TextFiles(path, [], "text_folder", encoding=encoding)
    there: dict[str, None] = {}
    paths, labels, splits, other, loose = [], [], [], 0, 0
    for split, folder in [(top.name, top) for top in tops] if by_split else [("", root)]:
        loose += sum(name.endswith(SUFFIX) for name in _files(folder))
        for of_class in _folders(folder):
            there[of_class.name] = None
            if classes is not None and of_class.name not in classes:
                continue
            texts, others = _texts_below(of_class)
            other += others
            paths += texts
            labels += [of_class.name] * len(texts)
            splits += [split] * len(texts)
    if missing := [name for name in classes or () if name not in labels]:
        raise DlrunError(
            f"data.classes: there is no text in a folder '{missing[0]}' of {path}",
            hint=f"there is {', '.join(list(there)[:12])}",
        )
    if not paths:
        lie = f"; {loose:,} lie in no folder of a class" if loose else ""
        raise DlrunError(
            f"data.path={path}: no text: no file *{SUFFIX} in a folder for its class{lie}",
            hint=f"a text's class is the folder that it is in: {path}/good/1{SUFFIX}",
        )
    found.paths, found.labels = paths, labels
    found.splits = splits if by_split else ()
    if loose:
        found.notes.append(f"{loose:,} texts lie in no folder of a class, and are left out")
    if other:
        found.notes.append(f"{other:,} files that are not *{SUFFIX} are left out")
    return found


def _check_folder(path: str) -> None:
    """Check that texts can be looked for.

    Raises:
        DlrunError: If pyarrow is not installed, or there is no such folder.
    """
    require_package("pyarrow", "a table", "data")
    root = Path(path)
    if not is_dir(root):
        problem = "is a file, not a folder" if exists(root) else "no such folder"
        raise DlrunError(
            f"data.path={path}: {problem}",
            hint=f"for a table with a text in each row: data=csv data.path={path}"
            if exists(root)
            else RELATIVE,
        )


def _texts_below(folder: Path) -> tuple[list[Path], int]:
    """The texts at any depth of a folder, sorted by folder, and the number of its other files."""
    paths, other = [], 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        texts = sorted(name for name in names if name.endswith(SUFFIX))
        other += len([name for name in names if not name.startswith(".")]) - len(texts)
        paths += [Path(place, name) for name in texts]
    return paths, other


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if is_dir(p) and not p.name.startswith("."))


def _files(folder: Path) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if entry.is_file()]


def _are_splits(folders: Sequence[Path]) -> bool:
    """Whether folders are ``train``, ``test`` and so on, with classes in them."""
    named = [NAMES.get(folder.name.lower()) for folder in folders]
    if None in named or not all(map(_folders, folders)):
        return False
    return TRAIN in named and not {TEST, VALIDATION}.isdisjoint(named)

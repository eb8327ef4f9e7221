"""Images that a table names, a row each, beside their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.images import is_image
from dlrun.data.splits import SplitOptions
from dlrun.data.table import Table, table
from dlrun.data.tabular.column_values import WrongValueError, to_texts
from dlrun.data.tabular.columns import require_column
from dlrun.data.tabular.encode_rows import encode_targets
from dlrun.data.tabular.inputs import missing_target_notes
from dlrun.data.targets import Target, TargetFitter
from dlrun.errors import DlrunError
from dlrun.system.files import exists


@dataclass(frozen=True)
class ImageTable:
    """A table of paths and labels.

    Args:
        path: The folder that the paths are relative to.
        table_path: The table: a file of any kind that ``data=table`` reads.
        image: The column of the paths; None is found.
        target: The column of the labels, or several; None is the only one that is left.
        kind: As for :func:`dlrun.data.table.table`.
        blank: As for :func:`dlrun.data.table.table`.
        options: How to split the rows.
        cache_gb: As for :func:`dlrun.data.table.table`.
    """

    path: str
    table_path: str
    image: str | None
    target: str | Sequence[str] | None
    kind: str | None
    blank: str
    options: SplitOptions
    cache_gb: float

    @property
    def root(self) -> Path:
        """What the paths of :attr:`names` are relative to."""
        return Path(self.path)

    @cached_property
    def _table(self) -> str:
        """The table, which may be named as beside the images."""
        path, within = Path(self.table_path), self.root / self.table_path
        if exists(path) or set("*?[") & set(self.table_path):
            return str(path)
        if exists(within):
            return str(within)
        raise DlrunError(
            f"data.labels={self.table_path}: no such file",
            hint=f"a table here, or in {self.root}, with a row for each image",
        )

    def _open(self, target: str | Sequence[str]) -> Table:
        options = self.options
        of = table(
            path=self._table,
            target=target,
            kind=self.kind,
            blank=self.blank,
            split=options.way,
            by=options.by,
            validation=options.validation,
            test=options.test,
            folds=options.folds,
            fold=options.fold,
            seed=options.seed,
            cache_gb=self.cache_gb,
        )
        return replace(of, has_missing=False)

    @cached_property
    def image_column(self) -> str:
        """The column of the paths."""
        of = self._open("-")
        profiles = of.profiles
        if self.image is not None:
            return require_column(of, self.image, "data.image").name
        found = [
            name
            for name, profile in profiles.items()
            if profile.type == "string"
            and profile.examples
            and all(is_image(example) for example in profile.examples)
        ]
        if len(found) != 1:
            what = f"several columns of images, {', '.join(found)}" if found else "no column of"
            raise DlrunError(
                f"data.labels={self.table_path}: has {what}{'' if found else ' image files'}; it"
                f" has {', '.join(list(profiles)[:12])}",
                hint=f"data.image={found[0] if found else 'COLUMN'}",
            )
        return found[0]

    @cached_property
    def rows(self) -> Table:
        """The table, with its targets."""
        if self.target is not None:
            return self._open(self.target)
        names = list(self._open("-").profiles)
        left = [n for n in names if n not in (self.image_column, self.options.by, "split")]
        if len(left) != 1:
            raise DlrunError(
                f"data.target: needs a column, or several; {self.table_path} has"
                f" {', '.join(names[:12])}",
                hint=f"data.target={left[0]}" if left else "data.target=COLUMN",
            )
        return self._open(left[0])

    @cached_property
    def names(self) -> list[str]:
        """The path of each row's image, relative to the root."""
        names: list[str] = []
        for batch in self.rows.batches():
            column = batch.column(self.image_column)
            if column.null_count:
                row = len(names) + int(column.is_null().to_numpy(zero_copy_only=False).argmax())
                raise DlrunError(
                    f"data.labels={self.table_path}: row {row + 1:,} has no '{self.image_column}'",
                    hint="name a file, or remove the row",
                )
            names += to_texts(column).to_pylist()
        return names

    @property
    def notes(self) -> list[str]:
        """What is left out, one line each."""
        return missing_target_notes(self.rows)

    @property
    def targets(self) -> dict[str | None, Target]:
        """The outputs, by name; None is a single one."""
        return self.rows.labels

    @property
    def way(self) -> SplitOptions:
        """The split, with ``auto`` resolved."""
        return self.rows.way

    @property
    def splits(self) -> np.ndarray:
        """The split of each row, ``(rows,)`` uint8."""
        return self.rows.splits

    def fit(self, rows: np.ndarray) -> dict[str | None, Target]:
        """The targets, fitted to the rows of the training split."""
        fitters = {name: TargetFitter(target) for name, target in self.targets.items()}
        columns = self._columns(rows)
        for fitter in fitters.values():
            fitter.update(columns)
        return {name: fitter.result() for name, fitter in fitters.items()}

    def labels(
        self, rows: np.ndarray, targets: Mapping[str | None, Target]
    ) -> dict[str | None, np.ndarray]:
        """The labels of rows, by output; see :meth:`dlrun.data.targets.Target.encode`.

        Raises:
            DlrunError: If a value does not fit its target.
        """
        columns = self._columns(rows)
        try:
            return encode_targets(targets, columns)
        except KeyError as error:
            raise DlrunError(
                f"data.labels={self.table_path}: has no column {error}, which the run was trained"
                " on"
            ) from error
        except WrongValueError as error:
            raise DlrunError(
                f"data.labels={self.table_path}: row {rows[error.row] + 1:,}: column"
                f" '{error.column}': {error.problem}",
                hint="correct it, or remove the row",
            ) from error

    def _columns(self, rows: np.ndarray) -> dict[str, Any]:
        import pyarrow as pa

        whole = pa.Table.from_batches(list(self.rows.batches())).take(pa.array(rows))
        return {
            name: whole.column(name).combine_chunks()
            for name in whole.column_names
            if name != self.image_column
        }

    def explicit(self) -> dict[str, Any]:
        """The arguments that make what was found explicit."""
        targets = self.rows.targets
        kinds = {target.kind for target in self.targets.values()}
        return {
            "labels": self.table_path,
            "image": self.image_column,
            "target": list(targets) if len(targets) > 1 else targets[0],
            "kind": kinds.pop() if len(kinds) == 1 else None,
            "blank": self.blank,
            "split": self.way.way,
            "by": self.way.by,
        }

    def place(self, row: int) -> str:
        """Where an image is named, for messages."""
        return f"{self.table_path}, row {row + 1:,}: "

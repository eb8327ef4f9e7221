"""Data sets of Hugging Face as tables: from a folder, or from the cache of ``datasets``."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dlrun.data.cache import content_key
from dlrun.data.network import require_network
from dlrun.data.splits import NAMES
from dlrun.data.tabular.arrow_table import ArrowTable, arrow_table
from dlrun.errors import DlrunError, first_line
from dlrun.system.files import is_file
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("dlrun")

MEDIA = ("Image", "Audio", "Video", "Pdf")


def huggingface(
    *,
    target: str | Sequence[str] | None,
    name: str | None = None,
    path: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    download: bool = False,
    drop: Sequence[str] = (),
    **options: Any,
) -> ArrowTable:
    """A data set of the ``datasets`` package; one with a test split keeps its splits.

    Args:
        target: The column to predict, or several.
        name: Its name on the hub, of one that ``datasets`` has in its cache.
        path: The folder that ``save_to_disk`` wrote, in place of a name.
        config: Which of several data sets of this name.
        revision: The version on the hub.
        download: Download what is not in the cache.
        drop: Columns to leave out.
        **options: Others of :func:`dlrun.data.table.table`.

    Raises:
        DlrunError: If ``datasets`` is not installed, or there is no such folder.
    """
    if (name is None) == (path is None):
        raise DlrunError("data=huggingface takes data.name or data.path", hint="data.path=FOLDER")
    require_package("datasets", "data=huggingface", "huggingface")
    key = None
    if path is not None:
        folder = Path(path)
        if not any(is_file(folder / file) for file in ("dataset_dict.json", "state.json")):
            raise DlrunError(
                f"data.path={path}: no data set that save_to_disk wrote",
                hint="data=parquet, csv or jsonl read a folder of such files",
            )
        files = sorted(file for file in folder.rglob("*") if is_file(file))
        key = ["huggingface", content_key(files), list(drop)]

    def load() -> pa.Table:
        return _load(name, path, config, revision, download, drop)

    given = {"name": name, "path": path}
    return arrow_table(
        path or f"Hugging Face's {name}",
        load,
        target=target or (),
        key=key,
        arguments={key: value for key, value in given.items() if value is not None},
        drop=drop,
        **options,
    )


def _load(
    name: str | None,
    path: str | None,
    config: str | None,
    revision: str | None,
    download: bool,
    drop: Sequence[str],
) -> pa.Table:
    if download:  # before the packages, which take seconds to import
        address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        require_network(urlsplit(address).hostname or address)
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    huggingface_hub.utils.logging.set_verbosity_error()
    before = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    try:
        datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = not download
        loaded = (
            datasets.load_from_disk(path)
            if path is not None
            else datasets.load_dataset(name, config, revision=revision)
        )
    except Exception as error:  # of many kinds, of several packages
        what = f"data.path={path}" if path is not None else f"data.name={name}"
        is_missing = path is None and not download
        raise DlrunError(
            f"{what}: it is not in the cache of datasets, and nothing is downloaded"
            if is_missing
            else f"{what} can't be loaded: {first_line(error):.200}",
            hint="data.download=true, or data.path=FOLDER that save_to_disk wrote"
            if is_missing
            else None,
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = before
    if not isinstance(loaded, Mapping):
        return _columns(loaded, drop)
    return _join(loaded, drop)


def _join(splits: Mapping[str, Any], drop: Sequence[str]) -> pa.Table:
    """All rows of the splits that are known; with a column ``split`` if one is for the test."""
    import pyarrow as pa

    known = {split: rows for split, rows in splits.items() if split.lower() in NAMES}
    if left := [split for split in splits if split not in known]:
        log.info("data   left out: the split %s", ", ".join(left))
    if not known:
        raise DlrunError(
            f"data: none of the splits {', '.join(splits)} is train, validation or test"
        )
    tables = []
    for split, rows in known.items():
        table = _columns(rows, drop)
        if {NAMES[name.lower()] for name in known} >= {0, 2} and "split" not in table.schema.names:
            table = table.append_column("split", pa.array([split] * len(table), pa.string()))
        tables.append(table)
    return pa.concat_tables(tables)


def _columns(rows: Any, drop: Sequence[str]) -> pa.Table:
    """The columns as Arrow has them; class numbers as names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    media = {
        name: type(feature).__name__
        for name, feature in rows.features.items()
        if type(feature).__name__ in MEDIA
    }
    for name, kind in media.items():
        if name not in drop:
            raise DlrunError(
                f"data: column '{name}' holds {kind.lower()}s, which a table can't",
                hint=f"data.drop=[{name}]"
                + (", or write them as files for data=image_folder" if kind == "Image" else ""),
            )
    rows = rows.remove_columns(list(media))
    table = rows.with_format("arrow")[:]
    for name in media:  # which data.drop names, so it has to be there
        table = table.append_column(name, pa.nulls(len(table), pa.string()))
    for place, (name, feature) in enumerate(rows.features.items()):
        if type(feature).__name__ == "ClassLabel":
            numbers = table.column(name)
            numbers = pc.if_else(pc.equal(numbers, -1), None, numbers)  # like null, no label
            classes = pa.array(feature.names, pa.string()).take(numbers)
            table = table.set_column(place, name, classes)
    return table.replace_schema_metadata(None)

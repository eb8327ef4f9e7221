"""Runs tensorflow_datasets in a process of its own: TensorFlow is not imported into a run."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlrun.data.network import require_network
from dlrun.data.tfds_folders.folder import Feature, PreparedFolder
from dlrun.errors import DlrunError
from dlrun.system.child_job import ChildJob
from dlrun.system.packages import require_package

log = logging.getLogger("dlrun")

TFDS = ("tensorflow_datasets", "data=tfds", "tfds")  # as require_package takes it
HOST = "storage.googleapis.com"  # where tfds looks first


def download_set(name: str, config: str | None, version: str | None, root: Path) -> None:
    """Let tfds download and prepare a data set.

    Args:
        name: The data set, one of tfds' own.
        config: Which of several of this name; None is tfds' choice.
        version: None is tfds' newest.
        root: The folder of its folder.

    Raises:
        DlrunError: If tfds is not installed, or can't.
    """
    require_package(*TFDS)
    require_network(HOST)
    job = {"name": name, "config": config, "version": version, "data_dir": str(root.absolute())}
    log.info("data   tensorflow_datasets prepares %s in %s", name, root)
    _run({"download": job}, f"data.name={name}: it can't be downloaded", exit_code=1)


def read_set(
    prepared: PreparedFolder,
    features: Sequence[Feature],
    splits: Mapping[str, int],
    image: Mapping[str, Any] | None,
    out: Path,
) -> None:
    """Write samples into a folder, as :mod:`dlrun.data.tfds_folders.reader` does.

    Args:
        prepared: The data set.
        features: To read; at most one of them an image.
        splits: To read, with their number of samples.
        image: The ``shape`` and ``dtype`` of an image, if there is one.
        out: A folder. Its ``rows.arrow`` gets the columns, and its ``images.npy`` the images,
            ``(samples, height, width, channels)``.

    Raises:
        DlrunError: If tfds is not installed, or the samples can't be read.
    """
    log.info("data   reading %s: %s samples", prepared.name, f"{sum(splits.values()):,}")
    job = {
        "folder": str(prepared.folder.absolute()),
        "features": [asdict(feature) for feature in features],
        "splits": splits,
        "image": image,
        "out": str(out),
    }
    _run(job, f"data: {prepared.folder} can't be read")


def _run(job: Mapping[str, Any], failure: str, exit_code: int = 2) -> None:
    """Run the reader in a process of its own."""
    require_package(*TFDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        ChildJob("dlrun.data.tfds_folders.reader", job, folder=Path(folder), name="tfds") as child,
    ):
        try:
            child.wait()
        except DlrunError as error:
            told = error.message
            whole = told if told.startswith("data: ") else f"{failure}: {told:.200}"
            raise DlrunError(whole, hint=error.hint, exit_code=exit_code) from error

"""The data sets that scikit-learn brings; nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.arrays import ArraySource, array_source, options_of_arrays
from dlrun.data.samples import Samples
from dlrun.data.tabular.arrow_table import ArrowTable, arrow_table
from dlrun.errors import DlrunError
from dlrun.system.files import is_file
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    import pyarrow as pa

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
HOUSING = "california_housing"  # which scikit-learn downloads
HOUSING_FILE = "cal_housing_py3.pkz"
TARGETS: dict[str, str | list[str]] = {
    "linnerud": ["Weight", "Waist", "Pulse"],
    HOUSING: "MedHouseVal",
}


def sklearn(
    *, name: str, images: bool = False, target: str | Sequence[str] | None = None, **options: Any
) -> ArrowTable | ArraySource:
    """A data set of :mod:`sklearn.datasets` as a table; ``digits`` also as images.

    Args:
        name: breast_cancer, diabetes, digits, iris, linnerud, wine, or california_housing if
            scikit-learn has it in its own cache.
        images: Take ``digits`` as images ``(8, 8)`` uint8 from 0 to 16, scaled to [0, 1].
        target: The columns to predict; None takes scikit-learn's own.
        **options: Others of :func:`dlrun.data.table.table`.

    Raises:
        DlrunError: If there is no such data set, or scikit-learn is not installed.
    """
    if name not in (*BUNDLED, HOUSING):
        raise DlrunError(f"data.name={name}: expected one of {', '.join((*BUNDLED, HOUSING))}")
    require_package("sklearn", "data=sklearn", "sklearn")
    if name == HOUSING:
        _require_cached()
    about = f"scikit-learn's {name}"
    if images:
        if name != "digits":
            raise DlrunError(
                f"data.images=true: {name} has no images", hint="data.name=digits, or mnist"
            )
        return array_source(
            about,
            _images,
            scale=16.0,
            arguments={"name": name, "images": True},
            **options_of_arrays(options),
        )
    return arrow_table(
        about,
        lambda: _table(name),
        target=target or TARGETS.get(name, "target"),
        key=["sklearn", version("scikit-learn"), name],
        arguments={"name": name},
        **options,
    )


def _images() -> Samples:
    from sklearn import datasets

    digits = datasets.load_digits()
    return Samples(digits.images.astype("uint8"), digits.target, names=["target"])


def _table(name: str) -> pa.Table:
    """Its inputs and targets as columns; classes by their names."""
    import pyarrow as pa
    from sklearn import datasets

    if name == HOUSING:
        bunch = datasets.fetch_california_housing(
            data_home=str(_data_home()), download_if_missing=False
        )
    else:
        bunch = getattr(datasets, f"load_{name}")()
    columns = {str(key): bunch.data[:, place] for place, key in enumerate(bunch.feature_names)}
    targets = TARGETS.get(name, "target")
    if isinstance(targets, list):
        columns |= {key: bunch.target[:, place] for place, key in enumerate(targets)}
    elif name in ("breast_cancer", "iris", "wine"):
        columns[targets] = bunch.target_names[bunch.target]
    else:
        columns[targets] = bunch.target
    return pa.table({key: pa.array(values) for key, values in columns.items()})


def _data_home() -> Path:
    # As sklearn.datasets.get_data_home, which also creates it. Not an argument: the file is a
    # pickle, and a config may come from anyone.
    return Path(os.environ.get("SCIKIT_LEARN_DATA") or "~/scikit_learn_data").expanduser()


def _require_cached() -> None:
    path = _data_home() / HOUSING_FILE
    if not is_file(path):
        raise DlrunError(
            f"data.name={HOUSING}: scikit-learn has not downloaded it: there is no {path}",
            hint='python -c "from sklearn.datasets import fetch_california_housing as f; f()"',
        )

"""Feeds: the kinds of data source for ``fit()``, on any backend.

Each module has a function of the same name that turns :class:`dlrun.data.batches.Batches` into a
source for Keras. Feeds differ in who holds and gathers the samples; the batches and their order are
the same.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from dlrun.errors import DlrunError

if TYPE_CHECKING:  # importing a feed does not import data
    from dlrun.data.batches import Batches

Feed: TypeAlias = "Callable[[Batches], Any]"

# The package that a feed needs, and the extra of dlrun that installs it.
PACKAGES = {
    "numpy": None,
    "pandas": "pandas",
    "tf_data": "tensorflow",
    "torch_dataloader": "torch",
    "pydataset": None,
}
AUTO = "auto"  # the backend's choice
NAMES = (AUTO, *PACKAGES)
NEEDS_NO_FEED = (AUTO, "numpy")  # options for a loop that gathers the batches itself


def load(name: str) -> Feed:
    """Import a feed by name, after the backend has started.

    Raises:
        DlrunError: If its package can't be imported.
    """
    try:
        feed: Feed = getattr(importlib.import_module(f"dlrun.feeds.{name}"), name)
    except ImportError as error:
        raise DlrunError(
            f"data.feed={name} can't be imported: {error}", hint=f"data.feed={AUTO}"
        ) from error
    return feed


def require(name: str) -> None:
    """Check that a feed's package is installed, without importing anything.

    Raises:
        DlrunError: If it is not.
    """
    package = PACKAGES.get(name)
    if package and importlib.util.find_spec(package) is None:
        raise DlrunError(
            f"data.feed={name}: {package} is not installed",
            hint=f"pip install 'dlrun[{package}]', or data.feed={AUTO}",
        )

"""Feeds: the kinds of data source for ``fit()``, on any backend.

Each module has a function of the same name that turns :class:`dlrun.data.batches.Batches` into a
source for Keras. Feeds differ in who holds and gathers the samples; the batches and their order are
the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # importing a feed does not import data
    from dlrun.data.batches import Batches

Feed: TypeAlias = "Callable[[Batches], Any]"

# The targets of feed=auto and feed=numpy, which a loop accepts that gathers the batches itself.
GATHERED = (None, "dlrun.feeds.numpy.numpy")

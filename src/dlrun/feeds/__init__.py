"""Feeds: the kinds of source that ``fit()`` takes its batches from, on any backend.

Each module has a function of its own name, from :class:`dlrun.data.batches.Batches` to the object
that Keras is given. They differ in who holds the samples and who gathers them; the batches and
their order are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # a feed meets its batches as objects
    from dlrun.data.batches import Batches

Feed: TypeAlias = "Callable[[Batches], Any]"

# The targets of feed=auto and feed=numpy: the same as what a loop does that takes no feed.
GATHERED = (None, "dlrun.feeds.numpy.numpy")

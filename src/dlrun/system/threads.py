"""Call a function in several threads, for what computes outside of Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Iterator[Result]:
    """Call a function for each item, in threads; the results come in the order of the items.

    Args:
        function: For one item.
        items: The items; what their iterator raises is raised after the results of those before.
        threads: How many calls run at once.
        ahead: How many items are taken before the result of the first one is asked for, so that
            memory stays flat.

    Yields:
        The results; the first error ends them.
    """
    with ThreadPoolExecutor(threads) as pool:
        futures = _submit(pool, function, items)
        waiting = deque(islice(futures, ahead))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(islice(futures, 1))
        finally:
            for future in waiting:
                future.cancel()


def _submit(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Future[Result]]:
    try:
        for item in items:
            yield pool.submit(function, item)
    except Exception as error:
        failed: Future[Result] = Future()
        failed.set_exception(error)
        yield failed

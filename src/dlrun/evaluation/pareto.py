"""Which of several results no other one beats."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[Sequence[float]], modes: Sequence[str]) -> list[bool]:
    """Whether each point is on the Pareto front: no other is as good in all, and better in one.

    Args:
        points: The values of each, all finite.
        modes: ``min`` or ``max``, for each value.
    """
    signs = [-1.0 if mode == "max" else 1.0 for mode in modes]
    costs = [tuple(s * v for s, v in zip(signs, point, strict=True)) for point in points]
    front: list[tuple[float, ...]] = []
    found = [False] * len(costs)
    # In this order, a point is beaten only by one before it, and so by one of the front.
    for place in sorted(range(len(costs)), key=costs.__getitem__):
        cost = costs[place]
        if not any(_beats(other, cost) for other in front):
            found[place] = True
            front.append(cost)
    return found


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))

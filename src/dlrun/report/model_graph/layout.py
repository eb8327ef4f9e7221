"""Place a graph's boxes and route its arrows, layer by layer from top to bottom.

Sugiyama's method: assign ranks, order each rank so that few arrows cross, then choose positions
that make arrows straight. An arrow that spans several ranks has a lane in each rank between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

GAP = 26.0  # between neighbours in a rank
RANK_GAP, MAX_RANK_GAP = 30.0, 90.0  # between ranks; wider gaps give arrows smoother turns
LANE = 14.0  # width of an arrow's lane in a rank
REACH = 0.35  # largest distance, in box widths, from a box's centre to where an arrow meets it
SWEEPS = 13  # odd, so that the last sweep goes down and puts boxes right below their input


@dataclass
class Layout:
    """Centres of the boxes, and the points of each arrow, with y downwards from 0."""

    centres: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def layout(sizes: Sequence[tuple[float, float]], arrows: Sequence[tuple[int, int]]) -> Layout:
    """Lay out a graph.

    Args:
        sizes: Width and height of each box, in topological order.
        arrows: Pairs of box numbers, from and to.
    """
    ranks = _ranks(len(sizes), arrows)
    widths = [width for width, _ in sizes]
    chains = []
    for start, end in arrows:
        lanes = list(range(len(ranks), len(ranks) + ranks[end] - ranks[start] - 1))
        ranks += range(ranks[start] + 1, ranks[end])
        widths += [LANE] * len(lanes)
        chains.append([start, *lanes, end])
    links = [link for chain in chains for link in pairwise(chain)]
    rows = _order_ranks(ranks, links)
    xs = _x_positions(rows, widths, links)
    bands = _bands(rows, sizes, _gaps(len(rows), ranks, xs, links))
    centres = [(xs[n], sum(bands[ranks[n]]) / 2) for n in range(len(sizes))]
    routes = [
        _route(chain, xs, centres, sizes, [bands[ranks[n]] for n in chain]) for chain in chains
    ]
    width = max(x + w / 2 for x, w in zip(xs, widths, strict=True))
    return Layout(centres, routes, width, bands[-1][1])


def _ranks(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """Rank each box below its inputs; a box without inputs comes right above its first use."""
    ranks = [0] * count
    for start, end in sorted(arrows, key=lambda arrow: arrow[1]):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    fed = {end for _, end in arrows}
    for number in range(count):
        users = [ranks[end] for start, end in arrows if start == number]
        if users and number not in fed:
            ranks[number] = min(users) - 1
    return ranks


def _order_ranks(ranks: Sequence[int], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The boxes and lanes of each rank from left to right, by the mean position of their links."""
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for number, rank in enumerate(ranks):
        rows[rank].append(number)
    best, fewest = [list(row) for row in rows], _crossings(rows, ranks, links)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        downwards = sweep % 2 == 0
        neighbours = _neighbours(links, upper=downwards)
        for row in rows[1:] if downwards else rows[-2::-1]:
            place = {n: i for r in rows for i, n in enumerate(r)}
            row.sort(key=_mean(place, neighbours))
        if (crossings := _crossings(rows, ranks, links)) < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _crossings(
    rows: Sequence[Sequence[int]], ranks: Sequence[int], links: Sequence[tuple[int, int]]
) -> int:
    place = {number: index for row in rows for index, number in enumerate(row)}
    by_rank: dict[int, list[tuple[int, int]]] = {}
    for start, end in links:
        by_rank.setdefault(ranks[start], []).append((place[start], place[end]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0
        for ends in by_rank.values()
        for index, a in enumerate(ends)
        for b in ends[:index]
    )


def _x_positions(
    rows: Sequence[Sequence[int]], widths: Sequence[float], links: Sequence[tuple[int, int]]
) -> list[float]:
    """The centre x of each box and lane, from 0, as close to its links as its neighbours allow."""
    xs = [0.0] * len(widths)
    for row in rows:
        targets = [0.0] * len(row)
        for number, x in zip(row, _separate(row, targets, widths), strict=True):
            xs[number] = x
    above, below = _neighbours(links, upper=True), _neighbours(links, upper=False)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        for row in rows if downwards else reversed(rows):
            mean = _mean(dict(enumerate(xs)), neighbours)
            targets = [mean(n) for n in row]
            for number, x in zip(row, _separate(row, targets, widths), strict=True):
                xs[number] = x
    left = min(x - width / 2 for x, width in zip(xs, widths, strict=True))
    return [x - left for x in xs]


def _separate(row: Sequence[int], targets: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The positions without overlap that are closest to the targets, by least squares."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + GAP)
    # Neighbours whose targets are too close move as one block, to their mean.
    blocks: list[tuple[float, int]] = []
    for target, offset in zip(targets, offsets, strict=True):
        total, size = target - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            previous = blocks.pop()
            total, size = total + previous[0], size + previous[1]
        blocks.append((total, size))
    starts = [total / size for total, size in blocks for _ in range(size)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]


def _gaps(
    count: int, ranks: Sequence[int], xs: Sequence[float], links: Sequence[tuple[int, int]]
) -> list[float]:
    """The space below each rank."""
    gaps = [RANK_GAP] * count
    for start, end in links:
        needed = min(RANK_GAP + 0.1 * abs(xs[start] - xs[end]), MAX_RANK_GAP)
        gaps[ranks[start]] = max(gaps[ranks[start]], needed)
    return gaps


def _bands(
    rows: Sequence[Sequence[int]], sizes: Sequence[tuple[float, float]], gaps: Sequence[float]
) -> list[Point]:
    """The upper and the lower edge of each rank."""
    bands, top = [], 0.0
    for row, gap in zip(rows, gaps, strict=True):
        bottom = top + max((sizes[n][1] for n in row if n < len(sizes)), default=0.0)
        bands.append((top, bottom))
        top = bottom + gap
    return bands


def _neighbours(links: Sequence[tuple[int, int]], *, upper: bool) -> dict[int, list[int]]:
    neighbours: dict[int, list[int]] = {}
    for start, end in links:
        neighbours.setdefault(end if upper else start, []).append(start if upper else end)
    return neighbours


def _mean(
    place: Mapping[int, float], neighbours: Mapping[int, list[int]]
) -> Callable[[int], float]:
    def mean(number: int) -> float:
        places = [place[n] for n in neighbours.get(number, [number])]
        return sum(places) / len(places)

    return mean


def _route(
    chain: Sequence[int],
    xs: Sequence[float],
    centres: Sequence[Point],
    sizes: Sequence[tuple[float, float]],
    bands: Sequence[Point],
) -> list[Point]:
    """From the lower edge of a box along each lane to the upper edge of another."""
    start, end = chain[0], chain[-1]
    lanes = [xs[lane] for lane in chain[1:-1]]
    # Straight down if possible.
    middle = [(xs[start] + xs[end]) / 2]
    leaves, enters = (
        min(max(towards, xs[box] - REACH * sizes[box][0]), xs[box] + REACH * sizes[box][0])
        for box, towards in ((start, (lanes or middle)[0]), (end, (lanes or middle)[-1]))
    )
    points = [(leaves, centres[start][1] + sizes[start][1] / 2)]
    for x, band in zip(lanes, bands[1:-1], strict=True):
        points += [(x, band[0]), (x, band[1])]
    return [*points, (enters, centres[end][1] - sizes[end][1] / 2)]

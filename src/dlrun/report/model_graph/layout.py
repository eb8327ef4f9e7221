"""Where the boxes of a graph stand, and which way its arrows go: layer by layer, downwards.

Sugiyama's method: ranks, then an order within each rank that crosses few arrows, then places that
make arrows straight. An arrow over several ranks holds a place of its own in each between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

GAP = 26.0  # between neighbours in a rank
RANK_GAP, MAX_RANK_GAP = 30.0, 90.0  # between ranks, where the arrows turn: the wider, the slower
LANE = 14.0  # width of an arrow's place in a rank
REACH = 0.35  # how far from its middle, in widths, arrows touch a box
SWEEPS = 13  # odd: the last goes down, and leaves what follows from one box right below it


@dataclass
class Layout:
    """Centres of the boxes, and the points of each arrow, with y downwards from 0."""

    centres: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def layout(sizes: Sequence[tuple[float, float]], arrows: Sequence[tuple[int, int]]) -> Layout:
    """Place boxes.

    Args:
        sizes: Width and height of each box, each box after those with arrows to it.
        arrows: From and to, by the numbers of the boxes.
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
    rows = _ordered(ranks, links)
    xs = _across(rows, widths, links)
    bands = _bands(rows, sizes, _gaps(len(rows), ranks, xs, links))
    centres = [(xs[n], sum(bands[ranks[n]]) / 2) for n in range(len(sizes))]
    routes = [
        _route(chain, xs, centres, sizes, [bands[ranks[n]] for n in chain]) for chain in chains
    ]
    width = max(x + w / 2 for x, w in zip(xs, widths, strict=True))
    return Layout(centres, routes, width, bands[-1][1])


def _ranks(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """Each box below all that it depends on; what depends on nothing right above its first use."""
    ranks = [0] * count
    for start, end in sorted(arrows, key=lambda arrow: arrow[1]):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    fed = {end for _, end in arrows}
    for number in range(count):
        users = [ranks[end] for start, end in arrows if start == number]
        if users and number not in fed:
            ranks[number] = min(users) - 1
    return ranks


def _ordered(ranks: Sequence[int], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The boxes and lanes of each rank from left to right, by the mean place of their links."""
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


def _across(
    rows: Sequence[Sequence[int]], widths: Sequence[float], links: Sequence[tuple[int, int]]
) -> list[float]:
    """The centre of each box and lane, from 0: as near above its links as its neighbours let it."""
    xs = [0.0] * len(widths)
    for row in rows:
        wanted = [0.0] * len(row)
        for number, x in zip(row, _apart(row, wanted, widths), strict=True):
            xs[number] = x
    above, below = _neighbours(links, upper=True), _neighbours(links, upper=False)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        for row in rows if downwards else reversed(rows):
            mean = _mean(dict(enumerate(xs)), neighbours)
            for number, x in zip(row, _apart(row, [mean(n) for n in row], widths), strict=True):
                xs[number] = x
    left = min(x - width / 2 for x, width in zip(xs, widths, strict=True))
    return [x - left for x in xs]


def _apart(row: Sequence[int], wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones, by least squares, at which nothing overlaps."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + GAP)
    # Neighbours that want to be closer than they may move as one block, to their mean.
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, size = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            before = blocks.pop()
            total, size = total + before[0], size + before[1]
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
    found: dict[int, list[int]] = {}
    for start, end in links:
        found.setdefault(end if upper else start, []).append(start if upper else end)
    return found


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
    """From the lower edge of a box down each lane to the upper edge of another."""
    start, end = chain[0], chain[-1]
    lanes = [xs[lane] for lane in chain[1:-1]]
    # Straight down where it can be.
    middle = [(xs[start] + xs[end]) / 2]
    leaves, enters = (
        min(max(towards, xs[box] - REACH * sizes[box][0]), xs[box] + REACH * sizes[box][0])
        for box, towards in ((start, (lanes or middle)[0]), (end, (lanes or middle)[-1]))
    )
    points = [(leaves, centres[start][1] + sizes[start][1] / 2)]
    for x, band in zip(lanes, bands[1:-1], strict=True):
        points += [(x, band[0]), (x, band[1])]
    return [*points, (enters, centres[end][1] - sizes[end][1] / 2)]

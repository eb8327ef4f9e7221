"""The layout of a graph: boxes do not overlap, and arrows do not cross boxes."""

import random
from itertools import combinations, pairwise

import pytest

from dlrun.report.model_graph.layout import layout

BOX = (100.0, 40.0)


def place(count, arrows, sizes=None):
    return layout(sizes or [BOX] * count, arrows)


def test_a_chain_is_one_straight_column():
    placed = place(3, [(0, 1), (1, 2)])
    assert {x for x, _ in placed.centres} == {50.0}
    assert [y for _, y in placed.centres] == sorted(y for _, y in placed.centres)
    for route in placed.routes:
        assert {x for x, _ in route} == {50.0}
    assert placed.width == 100


def test_inputs_are_side_by_side_above_the_box_that_joins_them():
    placed = place(4, [(0, 3), (1, 3), (2, 3)])
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = placed.centres
    assert x0 < x1 < x2
    assert y0 == y1 == y2 < y3
    assert x3 == pytest.approx(x1)


def test_an_input_is_right_above_its_first_use():
    placed = place(5, [(0, 1), (1, 2), (2, 4), (3, 4)])
    assert placed.centres[3][1] == placed.centres[2][1]


def test_arrows_do_not_cross_unnecessarily():
    # Two pairs; their lower boxes are listed in reverse order.
    placed = place(4, [(0, 3), (1, 2)])
    (x0, _), (x1, _), (x2, _), (x3, _) = placed.centres
    assert (x0 < x1) == (x3 < x2)


def test_an_arrow_past_a_box_goes_around_it():
    placed = place(3, [(0, 1), (1, 2), (0, 2)])
    x, y = placed.centres[1]
    [*_, around] = placed.routes
    beside = [point for point in around if abs(point[1] - y) <= BOX[1] / 2]
    assert len(beside) == 2
    assert all(abs(point[0] - x) > BOX[0] / 2 for point in beside)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_overlaps_in_any_graph(seed):
    draw = random.Random(seed)
    count = draw.randint(2, 25)
    sizes = [(draw.uniform(60, 240), draw.uniform(30, 120)) for _ in range(count)]
    arrows = [
        (start, end) for start, end in combinations(range(count), 2) if draw.random() < 2.5 / count
    ]
    placed = place(count, arrows, sizes)
    boxes = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for (x, y), (w, h) in zip(placed.centres, sizes, strict=True)
    ]
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(boxes, 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
    for left, top, right, bottom in boxes:
        assert left >= -1e-6
        assert right <= placed.width + 1e-6
        assert top >= -1e-6
        assert bottom <= placed.height + 1e-6
    for (start, end), route in zip(arrows, placed.routes, strict=True):
        assert route[0][1] == pytest.approx(boxes[start][3])
        assert route[-1][1] == pytest.approx(boxes[end][1])
        assert all(y0 <= y1 for (_, y0), (_, y1) in pairwise(route))
        for (xa, ya), (xb, yb) in pairwise(route[1:-1]):
            if xa == xb and ya < yb:  # the part of a lane that passes a rank
                for left, top, right, bottom in boxes:
                    beside = xa <= left or xa >= right
                    assert beside or yb <= top + 1e-6 or ya >= bottom - 1e-6

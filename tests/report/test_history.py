"""The picture of a run's curves."""

import math
from xml.etree import ElementTree

from dlrun.report.history import POINTS, history_svg

SVG = "{http://www.w3.org/2000/svg}"


def curves(rows, names, best=1):
    tree = ElementTree.fromstring(history_svg(rows, names, best))
    return tree, [line.get("points").split() for line in tree.iter(f"{SVG}polyline")]


def test_each_metric_has_a_panel_with_both_splits():
    rows = [{"accuracy": n / 10, "loss": 1 / n, "val_loss": 2 / n} for n in (1, 2, 3)]
    tree, lines = curves(rows, ["accuracy", "loss"], best=2)
    titles = [text.text for text in tree.iter(f"{SVG}text") if text.get("class") == "title"]
    assert titles == ["loss", "accuracy"]
    assert [len(line) for line in lines] == [3, 3, 3]
    heights = [float(point.partition(",")[2]) for point in lines[2]]
    assert heights == sorted(heights, reverse=True)  # the accuracy rises
    assert "the best is 2" in tree.find(f"{SVG}desc").text


def test_names_are_escaped_and_what_is_not_finite_is_left_out():
    rows = [{"<b>&": math.nan, "loss": math.inf}, {"<b>&": 1.0, "loss": 1.0}]
    tree, lines = curves(rows, ["<b>&", "loss"])
    assert lines == []
    assert len(list(tree.iter(f"{SVG}circle"))) == 2


def test_many_epochs_and_metrics_stay_small():
    rows = [{"loss": 1 / n, **{f"m{k}": k for k in range(30)}} for n in range(1, 5000)]
    tree, lines = curves(rows, [*rows[0]])
    assert len(lines[0]) == POINTS
    assert len(lines) == 12
    assert any("19 more metrics" in (text.text or "") for text in tree.iter(f"{SVG}text"))

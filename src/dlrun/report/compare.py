"""Compare runs: in a table, and their curves in one plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlrun.report.cells import figure, plain
from dlrun.report.tables import table
from dlrun.runs.query import text

PARTS = ("config", "result", "environment")
SPLITS = ("train.", "validation.", "test.")
BEST = " *"
NARROWEST = 16
LONGEST_KEY = 44
PALETTES = {"tab10": 10, "tab20": 20}  # fewer colours are easier to distinguish
PANELS = 6
# Of a curve of one point, the mark alone tells which split it is of.
LOOKS: dict[str, dict[str, Any]] = {
    "": {"linestyle": "-", "marker": "o", "markersize": 4},
    "val_": {"linestyle": "--", "marker": "o", "markersize": 5, "markerfacecolor": "white"},
}
MARKED = 30  # with more epochs, markers would merge into a line


def compare_table(result: Mapping[str, Any], *, width: int = 80) -> str:
    """A row per key and a column per run; columns that do not fit go into further blocks below.

    Args:
        result: The result of ``dlrun compare``.
        width: Characters per line.
    """
    runs = [plain(run["run"]) for run in result["runs"]]
    rows = [["", *runs]]
    for part in PARTS:
        if result[part]:
            rows.append([part, *[""] * len(runs)])
            rows += [_row(result, part, key) for key in result[part]]
    if len(rows) == 1:
        return f"nothing differs between {' and '.join(runs) if len(runs) == 2 else 'the runs'}"
    rows = [[_cut(row[0], LONGEST_KEY), *row[1:]] for row in rows]
    available = width - max(len(row[0]) for row in rows) - 2
    longest = max(available // len(runs) - 2, NARROWEST)
    columns = [[_cut(row[number + 1], longest) for row in rows] for number in range(len(runs))]
    blocks = [
        table([list(row) for row in zip([row[0] for row in rows], *block, strict=True)])
        for block in _blocks(columns, available)
    ]
    return "\n\n".join([*blocks, *(["* the best"] if result["best"] else [])])


def draw(labels: Sequence[str], curves: Sequence[Mapping[str, Any]], along: str = "epoch") -> Any:
    """Plot the loss and each metric in a panel, with the curves of all runs.

    Args:
        labels: The label of each run.
        curves: For each run, points ``(epoch, value)`` by metric name.
        along: What the first number of a point is.

    Returns:
        A ``matplotlib.figure.Figure``.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    many = len(labels)
    palette = matplotlib.colormaps[
        next((p for p, most in PALETTES.items() if many <= most), "turbo")
    ]
    shades = [palette(n if many <= palette.N else n / (many - 1)) for n in range(many)]
    metrics = dict.fromkeys(name.removeprefix("val_") for run in curves for name in run)
    names = sorted(metrics, key=lambda name: name != "loss")[:PANELS]
    across = min(len(names), 3)
    down, width = -(-len(names) // across), max(5 * across, 8)
    short = [_literal(_cut(label, 10 * width)) for label in labels]
    beside = 2 if many > 3 and max(map(len, short)) <= 5 * width else 1
    height = 3.4 * down + 0.22 * (-(-many // beside) + 1)
    picture: Any = Figure(figsize=(width, height), layout="constrained")
    panels = picture.subplots(down, across, squeeze=False).flat
    for axes in panels:
        axes.set_visible(False)
    for axes, name in zip(picture.axes, names, strict=False):
        axes.set_visible(True)
        for color, run in zip(shades, curves, strict=True):
            for prefix, look in LOOKS.items():
                if points := run.get(prefix + name):
                    shown = look if len(points) <= MARKED else look | {"marker": ""}
                    axes.plot(*zip(*points, strict=True), color=color, **shown)
        axes.set_title(_literal(name))
        axes.set_xlabel(along)
        axes.xaxis.get_major_locator().set_params(integer=along != "seconds", min_n_ticks=1)
        axes.grid(alpha=0.3)
    handles = [Line2D([], [], color=color, linewidth=3) for color in shades]
    below = {"loc": "outside lower center", "frameon": False}
    picture.legend(handles, [f" {label}" for label in short], ncols=beside, **below)
    kinds = [Line2D([], [], color="0.3", **look) for look in LOOKS.values()]
    picture.legend(
        kinds, ["train", "validation"], ncols=2, loc="outside upper right", frameon=False
    )
    return picture


def _row(result: Mapping[str, Any], part: str, key: str) -> list[str]:
    values, best = result[part][key], result["best"].get(key, ())
    if key.startswith(SPLITS):
        cells = _metric(values)
    elif key.endswith("_target_"):
        cells = _target(values)
    else:
        cells = ["-" if value is None else _shown_value(part, key, value) for value in values]
    return [f"  {plain(key)}", *(cell + BEST * (n in best) for n, cell in enumerate(cells))]


def _shown_value(part: str, key: str, value: Any) -> str:
    if key == "git.commit":
        return plain(str(value)[:12])
    if key == "examples_per_second" and isinstance(value, int | float):
        return f"{value:,.0f}"
    if part == "result" and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, int) else figure(value, 2)
    return plain(text(value))


def _metric(values: Sequence[Any]) -> list[str]:
    """Format values with the fewest digits that distinguish them."""
    shown = [""]
    for digits in (4, 6, 9, 12, 17):
        shown = ["-" if value is None else figure(value, digits) for value in values]
        if len(set(shown)) == len({str(value) for value in values}):
            break
    return shown


def _target(values: Sequence[Any]) -> list[str]:
    """Shorten dotted names to their last part if it distinguishes them."""
    names = ["-" if value is None else plain(str(value)) for value in values]
    short = [name.rpartition(".")[2] for name in names]
    return short if len(set(short)) == len(set(names)) else names


def _blocks(columns: Sequence[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Group columns into blocks that fit the width."""
    block: list[list[str]] = []
    left = width
    for column in columns:
        needed = max(map(len, column)) + 2
        if block and needed > left:
            yield block
            block, left = [], width
        block.append(column)
        left -= needed
    yield block


def _literal(label: str) -> str:
    """Escape $ for matplotlib, which would read text between two $ as a formula."""
    return plain(label).replace("$", r"\$")


def _cut(name: str, length: int) -> str:
    """Cut out the middle of a long name, as names differ at their ends."""
    if len(name) <= length:
        return name
    head = (length - 3) // 3
    return f"{name[:head]}...{name[head + 3 - length :]}"

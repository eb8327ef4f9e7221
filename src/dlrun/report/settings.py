"""Settings and their repeats, as a table: for ``runs --group``, ``compare`` and sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.errors import list_names
from dlrun.report.cells import figure, plain
from dlrun.report.tables import brief, table
from dlrun.runs.query import text

MOST_KEYS = 4  # as columns
MOST_NAMED = 8  # of the others, below the table
BELOW = "mean ± standard deviation; 95%: Student's t interval of the mean"


def settings_table(settings: Sequence[Mapping[str, Any]]) -> str:
    """A line for each setting: how many runs, what distinguishes it, and its metrics.

    Args:
        settings: From :meth:`dlrun.api.settings.Setting.to_dict`.
    """
    if not settings:
        return "no completed runs"
    keys, others = _keys(settings)
    metrics = list(dict.fromkeys(name for each in settings for name in each["metrics"]))
    monitor = metrics[0]
    heads = [
        ["", "", *([""] * len(keys)), monitor, "", "", *("test" for _ in metrics[1:])],
        ["run", "n", *map(_last, keys), "mean", "95%", "worst", *map(_last, metrics[1:])],
    ]
    rows = []
    for each in settings:
        of = each["metrics"]
        rows.append(
            [
                plain(each["run"]),
                str(each["n"]),
                *(_value(each["differs"], key) for key in keys),
                *summary_cells(of.get(monitor)),
                *(with_deviation(of.get(name)) for name in metrics[1:]),
            ]
        )
    below = [BELOW]
    if others:
        named = list_names([plain(key) for key in others], MOST_NAMED)
        below.append(f"they also differ in {named}: see --json")
    return "\n".join([table([*heads, *rows]), "", *below])


def comparison_lines(result: Mapping[str, Any]) -> str:
    """The settings, and below whether each differs from the best.

    Args:
        result: The result of :func:`dlrun.api.compare_settings.compare_settings`.
    """
    settings = result["settings"]
    lines = [settings_table(settings), ""]
    best = _label(settings[0], settings)
    for each in result["differences"]:
        other = _label(settings[each["other"]], settings)
        says = "differs from" if each["differs"] else "does not differ from"
        interval = f"{each['difference']:+.4g} ({each['low']:+.4g} to {each['high']:+.4g})"
        lines.append(
            f"{plain(each['metric'])}: {other} {says} {best} by more than its repeats:"
            f" {interval}, {each['test']}, p {each['p']:.3g}"
        )
    if not result["differences"]:
        lines.append("too few repeats to tell the settings apart: each needs two")
    return "\n".join(lines)


def summary_cells(moments: Mapping[str, Any] | None) -> list[str]:
    """Mean and deviation, the interval and the worst."""
    if moments is None or moments["mean"] is None:
        return ["", "", ""]
    low, high = moments["low"], moments["high"]
    interval = "" if low is None else f"{figure(low)} to {figure(high)}"
    worst = moments["worst"]
    return [with_deviation(moments), interval, "" if worst is None else figure(worst)]


def with_deviation(moments: Mapping[str, Any] | None) -> str:
    """``0.9712 ± 0.0021``; the mean alone of a single value."""
    if moments is None or moments["mean"] is None:
        return ""
    shown = figure(moments["mean"])
    return shown if moments["deviation"] is None else f"{shown} ± {figure(moments['deviation'])}"


def _keys(settings: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """The keys that distinguish the settings, first those with a column, then the others.

    They are choices of options rather than what these bring.
    """
    keys = list(dict.fromkeys(key for each in settings for key in each["differs"]))
    chosen = {key.removeprefix("choices.") for key in keys if key.startswith("choices.")}
    kept = [
        key for key in keys if key.startswith("choices.") or key.partition(".")[0] not in chosen
    ]
    kept = kept or keys
    return kept[:MOST_KEYS], kept[MOST_KEYS:]


def _label(setting: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> str:
    keys, others = _keys(settings)
    differs = setting["differs"]
    values = [f"{_last(key)}={_value(differs, key)}" for key in keys if key in differs]
    if others or not values:  # which may be what tells two of them apart
        values.append(plain(setting["run"]))
    return " ".join(values)


def _last(key: str) -> str:
    return plain(key.rpartition(".")[2])


def _value(differs: Mapping[str, Any], key: str) -> str:
    """A value as it is typed, ``null`` included; empty if the setting does not have the key."""
    return plain(brief(text(differs[key]))) if key in differs else ""

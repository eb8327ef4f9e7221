"""What ``dlrun evaluate`` prints: metrics, and the tables of the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.evaluation.result import by_output
from dlrun.report.cells import figure, plain
from dlrun.report.tables import evaluate_table, table

SHOWN = 20  # classes of a table, and numbers
WRONG = 5  # of the samples that were predicted worst
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def evaluation_lines(result: Mapping[str, Any]) -> str:
    """The metrics, and of a single evaluation every table that is short enough to read."""
    if "evaluations" in result:
        return _several(result["evaluations"])
    blocks = [evaluate_table(result)]
    for name, of_output in by_output(result.get("figures", {})).items():
        blocks += _of_output(name, of_output)
    for name, why in result.get("left_out", {}).items():
        blocks.append(f"no figures of {plain(name)}: {plain(why)}")
    return "\n\n".join(blocks)


def _several(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """A row for each evaluation, with the metrics of all."""
    names = list(dict.fromkeys(name for each in evaluations for name in each["metrics"]))
    rows = [["run", "epoch", "backend", "split", "samples", *names]]
    for each in evaluations:
        cells = [figure(each["metrics"].get(name)) for name in names]
        samples = f"{each['samples']:,}"
        where = [plain(each["run_dir"]), str(each["epoch"]), each["backend"], plain(each["split"])]
        rows.append([*where, samples, *cells])
    lines = [table(rows)]
    for each in evaluations:
        for name, of_output in by_output(each.get("figures", {})).items():
            if against := of_output.get("against"):
                start = f"{plain(each['run_dir'])}, epoch {each['epoch']}, {each['backend']}: "
                lines.append(start + _against(name, against))
    return "\n\n".join([lines[0], "\n".join(lines[1:])] if len(lines) > 1 else lines)


def _of_output(name: str, of_output: Mapping[str, Any]) -> list[str]:
    title = f"{plain(name)}\n" if name else ""
    intervals = of_output.get("intervals", {})
    blocks = [title + _summary(of_output["summary"], intervals.get("summary", {}))]
    for part in ("per_class", "per_target"):
        if records := of_output.get(part):
            blocks.append(_each(records, intervals.get(part, {})))
    if (matrix := of_output.get("confusion_matrix")) and len(matrix["classes"]) <= SHOWN:
        blocks.append(_matrix(matrix))
    if thresholds := of_output.get("thresholds"):
        blocks.append(_records(thresholds[1::2], digits=4))
    if residuals := of_output.get("residuals"):
        blocks.append(_quantiles(residuals))
    if wrong := of_output.get("most_wrong"):
        blocks.append("most wrong\n" + _records(wrong[:WRONG], digits=4))
    if against := of_output.get("against"):
        blocks.append(_against("", against))
    return [*blocks, *map(plain, of_output["notes"])]


def _summary(summary: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> str:
    if not intervals:
        rows = [[name, figure(value)] for name, value in summary.items()]
        half = -(-len(rows) // 2)
        left, right = rows[:half], rows[half:]
        right += [["", ""]] * (half - len(right))
        return table([[*a, *b] for a, b in zip(left, right, strict=True)])
    rows = [["", "value", "95 % interval"]]
    for name, value in summary.items():
        edges = intervals.get(name)
        rows.append([name, figure(value), f"{_edges(edges)}" if edges else ""])
    return table(rows)


def _edges(edges: Sequence[float]) -> str:
    return f"{figure(edges[0])} to {figure(edges[1])}"


def _each(records: Sequence[Mapping[str, Any]], intervals: Mapping[str, Any]) -> str:
    """Figures of each class, or of the worst ones where there are many."""
    first = next(iter(records[0]))
    shown = list(records)
    if len(shown) > SHOWN:
        order = "f1" if "f1" in records[0] else "r2"
        shown = sorted(shown, key=lambda record: record[order])[:SHOWN]
    names = list(records[0])
    rows = [[*names, *(["f1 95 % interval"] if intervals and "f1" in names else [])]]
    for record in shown:
        cells = [_cell(value) for value in record.values()]
        if len(rows[0]) > len(names):
            cells.append(_edges(intervals[record[first]]["f1"]))
        rows.append(cells)
    more = len(records) - len(shown)
    return table(rows) + (f"\n... {more:,} more are better: see --csv" if more else "")


def _matrix(matrix: Mapping[str, Any]) -> str:
    names = [plain(str(name)) for name in matrix["classes"]]
    rows = [["true \\ predicted", *names]]
    rows += [[n, *map(str, row)] for n, row in zip(names, matrix["counts"], strict=True)]
    return table(rows)


def _records(records: Sequence[Mapping[str, Any]], digits: int) -> str:
    names = [n for n in records[0] if any(record[n] is not None for record in records)]
    return table([names, *([_cell(r[n], digits) for n in names] for r in records)])


def _quantiles(residuals: Sequence[Mapping[str, Any]]) -> str:
    targets = list(dict.fromkeys(record["target"] for record in residuals))[:SHOWN]
    errors = {(record["target"], record["quantile"]): record["error"] for record in residuals}
    rows = [["error at quantile", *(f"{quantile:g}" for quantile in QUANTILES)]]
    rows += [[plain(t), *(figure(errors[t, quantile]) for quantile in QUANTILES)] for t in targets]
    return table(rows)


def _against(name: str, against: Mapping[str, Any]) -> str:
    """Whether the difference is more than chance, in a line."""
    prefix = f"{plain(name)} " if name else ""
    test = "McNemar" if against["test"] == "mcnemar" else against["test"]
    verdict = "more than chance" if against["significant"] else "no more than chance"
    low, high = (f"{edge:+.4g}" for edge in against["interval"])
    return (
        f"{prefix}{against['metric']} {figure(against['value'])}, {figure(against['other'])} of"
        f" {plain(against['run_dir'])}: {against['difference']:+.4g} ({low} to {high}),"
        f" p = {against['p_value']:.3g} ({test}): {verdict}"
    )


def _cell(value: Any, digits: int = 4) -> str:
    return f"{value:,}" if isinstance(value, int) and value > 999 else figure(value, digits)

"""The tables of evaluations as CSV files in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.evaluation.figures import folder_of, write_all
from dlrun.evaluation.result import by_output
from dlrun.evaluation.table import Table
from dlrun.inference.job import Evaluation

WHERE = ("run_dir", "checkpoint", "epoch", "backend", "split", "samples")


def write_csv(folder: Path, evaluations: Sequence[tuple[Evaluation, Mapping[str, Any]]]) -> None:
    """Write ``metrics.csv``, a row for each value, and beside it the tables of the evaluation.

    Of several evaluations, each has a folder for its tables, in their order.

    Args:
        folder: Made if it is missing.
        evaluations: Each with its result.

    Raises:
        DlrunError: If a file can't be written.
    """
    several = len(evaluations) > 1
    rows = [row for _, result in evaluations for row in _rows(result)]
    header = (*WHERE, "output", "class", "metric", "value", "low", "high")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Table(header, rows).write(folder / "metrics.csv")
        for number, (evaluated, result) in enumerate(evaluations, 1):
            run = Path(result["run_dir"]).name
            name = f"{number}_{run}_epoch-{result['epoch']}_{result['backend']}"
            write_all(evaluated.figures, folder / folder_of(name) if several else folder)
    except OSError as error:
        raise DlrunError(
            f"can't write {error.filename or folder}: {error.strerror or error}", exit_code=1
        ) from error


def _rows(result: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    where = [result[name] for name in WHERE]
    figures = by_output(result.get("figures", {}))
    # The exact figure of a name, with its interval, stands for the metric of that name.
    exact = figures.get("", {}).get("summary", {})
    metrics = {name: value for name, value in result["metrics"].items() if name not in exact}
    rows = [(*where, "", "", name, value, None, None) for name, value in metrics.items()]
    for output, of_output in figures.items():
        intervals = of_output.get("intervals", {})
        for name, value in of_output["summary"].items():
            low, high = intervals.get("summary", {}).get(name, (None, None))
            rows.append((*where, output, "", name, value, low, high))
        for part in ("per_class", "per_target"):
            for record in of_output.get(part, ()):
                of_one, *values = record.items()
                edges = intervals.get(part, {}).get(of_one[1], {})
                rows += [
                    (*where, output, of_one[1], name, value, *edges.get(name, (None, None)))
                    for name, value in values
                ]
        if against := of_output.get("against"):
            for name in ("difference", "p_value"):
                edges = against["interval"] if name == "difference" else (None, None)
                full = f"{against['metric']}_{name}_against_{against['run_dir']}"
                rows.append((*where, output, "", full, against[name], *edges))
    return rows

"""The live table of a running sweep, and its leaderboard."""

import csv
import io
import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from dlrun.errors import counted
from dlrun.report.cells import figure
from dlrun.report.page.formats import short_keys
from dlrun.report.settings import BELOW, summary_cells, with_deviation
from dlrun.report.tables import brief, table

log = logging.getLogger("dlrun")

MOST_NAMES = 20  # of the runs that were dropped
ROWS = 12  # rows of the live table: the active runs and the last ones that ended


class Board:
    """The progress of a sweep: a live table on a terminal, a line per run in a pipe.

    Args:
        runs: The number of runs.
        monitor: The metric to show.
        shown: Whether to show anything.
    """

    def __init__(self, runs: int, monitor: str, *, shown: bool = True) -> None:
        self._runs = runs
        self._monitor = monitor
        self._shown = shown
        self._rows: dict[int, dict[str, Any]] = {}
        self._started = time.monotonic()
        self._done_before = 0
        self._live: Any = None

    def __enter__(self) -> "Board":
        if self._shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def add(self, number: int, label: str, epochs: int, state: str) -> None:
        """Add a run."""
        self._rows[number] = {"label": label, "epochs": epochs, "state": state, "logs": {}}
        self._done_before += state in ("completed", "failed")

    def show(
        self,
        number: int,
        state: str,
        logs: Mapping[str, float],
        record: Mapping[str, Any],
        epochs: int | None = None,
    ) -> None:
        """Show a run's new state; ``epochs`` replaces the number that was planned."""
        row = self._rows[number]
        row["epochs"] = epochs or row["epochs"]
        row |= {"state": state, "logs": logs, "at": time.monotonic()}
        if self._live is not None:
            self._live.update(self._picture())
        if self._shown and state in ("completed", "failed", "interrupted"):
            done = sum(row["state"] not in ("pending", "running") for row in self._rows.values())
            line = f"{done}/{self._runs}  {row['label']}  {_outcome(record)}"
            if self._live is None:
                log.info("%s", line)
            else:  # printed above the table; a log line would break it
                self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _picture(self) -> Any:
        from rich.table import Table

        rows = self._rows.values()
        active = [row for row in rows if row["state"] == "running"]
        ended = [row for row in rows if row["state"] not in ("running", "pending")]
        ended.sort(key=lambda row: row.get("at", 0.0), reverse=True)
        picture = Table(box=None, title=self._headline(len(ended)), title_justify="left")
        for column in ("run", "epoch", self._monitor, "state"):
            picture.add_column(column)
        for row in [*active, *ended][:ROWS]:
            value = row["logs"].get(self._monitor)
            picture.add_row(
                row["label"],
                f"{int(row['logs'].get('epoch', 0))}/{row['epochs']}",
                "" if value is None else f"{value:.4f}",
                row["state"],
            )
        return picture

    def _headline(self, done: int) -> str:
        done_now = done - self._done_before
        left = self._runs - done
        seconds = (time.monotonic() - self._started) / done_now * left if done_now else None
        about = "" if seconds is None else f", about {_time(seconds)} left"
        return f"{done} of {counted(self._runs, 'run')}{about}"


def leaderboard(result: Mapping[str, Any]) -> str:
    """The runs, best first, their means over seeds and folds, and the number of runs by state."""
    lines = [_narrow(_rows(result, brief))] if result["ranking"] else []
    if entries := result.get("repeats"):
        lines += [
            "",
            _narrow(_repeat_rows(result)),
            "",
            f"over {' and '.join(entries[0]['over'])}: {BELOW}",
        ]
    if (pareto := result.get("pareto")) and pareto["front"]:
        lines += ["", front_title(pareto), table(_front_rows(pareto, result["keys"]))]
    failed = [run for run in result["runs"] if run.get("error")]
    lines += [f"{run['status']}  {run['run_dir']}  {run['error']}" for run in failed]
    ended = [(name, result[name]) for name in ("completed", "pruned", "failed")]
    counts = ", ".join(f"{number} {name}" for name, number in ended if number or name != "pruned")
    left = len(result["runs"]) - sum(number for _, number in ended)
    counts += f", {left} not run to the end" if left else ""
    lines += ["", f"{counts}; {result['sweep_dir']}"]
    if resumed := [run for run in result["runs"] if run.get("resumed")]:
        lines += [resumed_text((_folder(run), run["resumed"]) for run in resumed)]
    if dropped := result.get("dropped"):
        names = ", ".join(dropped["runs"][:MOST_NAMES])
        names += ", ..." if len(dropped["runs"]) > MOST_NAMES else ""
        lines += [
            f"the checkpoints of {counted(len(dropped['runs']), 'run')} were dropped: {names}"
        ]
        lines += [f"to make them again: {dropped['command']}"]
    return "\n".join(lines)


def resumed_text(runs: Iterable[tuple[str, Sequence[str]]]) -> str:
    """What to say of the runs that were resumed with other settings than those of their sweep.

    Args:
        runs: The name of each, and the overrides that it was resumed with.
    """
    told = [f"{name} ({' '.join(map(brief, typed))})" for name, typed in runs]
    names = ", ".join(told[:MOST_NAMES]) + (", ..." if len(told) > MOST_NAMES else "")
    return f"Resumed with other settings, so in no mean of the sweep: {names}"


def _folder(run: Mapping[str, Any]) -> str:
    return str(run["run_dir"]).rpartition("/")[2]


def leaderboard_csv(result: Mapping[str, Any]) -> str:
    """The rows of the leaderboard as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_rows(result))
    return text.getvalue()


def _rows(result: Mapping[str, Any], value: Callable[[str], str] = str) -> list[list[str]]:
    ranked = result["ranking"]
    tests = list(dict.fromkeys(name for run in ranked for name in run["test"]))
    head = ["run", *result["keys"], "best epoch", result["monitor"], *(f"test {n}" for n in tests)]
    on_device = any(run.get("device_memory_bytes") is not None for run in ranked)
    rows = [[*head, "first step s", "step ms", "MB", *(["device MB"] if on_device else [])]]
    for run in ranked:
        rows.append(
            [
                run["run_dir"] if run.get("reused") else _folder(run),
                *(value(run["differs"].get(key, "")) for key in result["keys"]),
                f"{run['best_epoch']}/{run['epochs']}" + _pruning(run),
                _figure(run["value"]),
                *(_figure(run["test"].get(name)) for name in tests),
                f"{run['seconds']['first_step']:.2f}",
                f"{run['step_seconds'] * 1e3:.2f}",
                _megabytes(run["peak_memory_bytes"]),
                *([_megabytes(run.get("device_memory_bytes"))] if on_device else []),
            ]
        )
    return rows


def _repeat_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Mean, deviation, interval and the worst, a row for each set of otherwise equal runs."""
    entries = result["repeats"]
    keys = [key for key in result["keys"] if any(key in entry["differs"] for entry in entries)]
    tests = list(dict.fromkeys(name for entry in entries for name in entry["test"]))
    monitor = result["monitor"]
    head = ["n", *keys, f"mean {monitor}", "95%", "worst", *(f"test {name}" for name in tests)]
    rows = [head]
    for entry in entries:
        rows.append(
            [
                str(entry["n"]),
                *(brief(entry["differs"].get(key, "")) for key in keys),
                *summary_cells(entry["value"]),
                *(with_deviation(entry["test"].get(name)) for name in tests),
            ]
        )
    return rows


def front_title(pareto: Mapping[str, Any]) -> str:
    """What the front is of."""
    names = [f"{one['name']} ({one['mode']})" for one in pareto["objectives"]]
    among = len(pareto["front"]) + len(pareto["others"])
    return (
        f"Pareto front of {', '.join(names[:-1])} and {names[-1]}: {len(pareto['front'])} of"
        f" {among}, which no other beats"
    )


def _front_rows(pareto: Mapping[str, Any], keys: Sequence[str]) -> list[list[str]]:
    """A row for each run on the front, or for each setting with its runs."""
    shown = [key for key in keys if any(key in entry["differs"] for entry in pareto["front"])]
    names = [one["name"] for one in pareto["objectives"]]
    rows = [["run", *short_keys(shown).values(), *names]]
    for entry in pareto["front"]:
        runs = ", ".join(path.rpartition("/")[2] for path in entry["run_dirs"])
        values = [objective_text(entry["values"][name]) for name in names]
        rows.append([runs, *(brief(entry["differs"].get(key, "")) for key in shown), *values])
    return rows


def objective_text(value: float) -> str:
    """A value of an objective: whole numbers, such as parameters, are not rounded."""
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1 else f"{value:.4g}"


def _narrow(rows: Sequence[Sequence[str]]) -> str:
    """Fit 80 columns: short keys, two-line heads, no column of best epochs that are all equal."""
    heads, *body = rows
    keep = [n for n, h in enumerate(heads) if h != "best epoch" or len({r[n] for r in body}) > 1]
    lasts = [head.rpartition(".")[2] for head in heads]
    short = [last if lasts.count(last) == 1 else h for h, last in zip(heads, lasts, strict=True)]
    upper = [short[n].partition(" ")[0] if " " in short[n] else "" for n in keep]
    lower = [short[n].partition(" ")[2] or short[n] for n in keep]
    return table([upper, lower, *([row[n] for n in keep] for row in body)])


def dry_run(result: Mapping[str, Any]) -> str:
    """The runs that would be started, one per line."""
    if search := result.get("search"):
        among = ", ".join(result["keys"])
        settings = f"--sampler {search['sampler']} --pruner {search['pruner']}"
        if search.get("objectives"):
            settings += f" --objectives {search['objectives']}"
        return f"{search['trials']} trials of {among}, {settings}; nothing was started"
    left = [run for run in result["runs"] if run["status"] != "completed"]
    lines = [" ".join(map(shlex.quote, run["overrides"])) for run in left]
    return "\n".join([*lines, "", f"{counted(len(left), 'run')}; nothing was started"])


def _outcome(record: Mapping[str, Any]) -> str:
    if record["status"] != "completed":
        return ": ".join(filter(None, [record["status"], record.get("error")]))
    test = "  ".join(f"test {name} {figure(value)}" for name, value in record["test"].items())
    return f"{test}  {record['seconds']['total']:.1f} s{_pruning(record)}"


def _pruning(run: Mapping[str, Any]) -> str:
    return " pruned" if run.get("stopped_by") == "pruning" else ""


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes}:{seconds:02}"

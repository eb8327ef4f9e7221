"""The head of a run's page, and its results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from dlrun.report.page import formats
from dlrun.report.page.markup import Content, Markup, element, join
from dlrun.report.page.parts import Section, code, details, facts, note, number_cell, table, tiles
from dlrun.report.page.reading import finite, list_at, mapping_at, number_at, text_at
from dlrun.report.page.run_view import RunView
from dlrun.runs.logged_names import by_metric

MOST_TILES = 8
SPLITS = ("train", "validation", "test")


def header(run: RunView) -> Markup:
    """The name, the status and the figures that matter most."""
    record = run.record
    status = text_at(record, "status") or "unknown"
    epochs, best = number_at(record, "epochs"), run.best_epoch
    of = f"{best} of {formats.number(epochs)}" if best and epochs else formats.number(epochs)
    split = next((s for s in reversed(SPLITS) if mapping_at(record, s)), "")
    metrics = mapping_at(record, split)
    shown = [name for names in by_metric(metrics).values() if len(names) == 1 for name in names]
    figures = [
        (f"{split} {name}", formats.number(finite(metrics[name]))) for name in shown[:MOST_TILES]
    ]
    figures += [
        ("best epoch" if best else "epochs", of),
        ("parameters", formats.number(number_at(record, "parameters"))),
        ("time", formats.duration(number_at(record, "seconds", "total"))),
    ]
    choices = [
        ("model", text_at(record, "model")),
        ("data", text_at(record, "data")),
        ("backend", _with_version(record, text_at(record, "backend"))),
        ("loop", text_at(record, "loop")),
        ("device", text_at(record, "device")),
        ("started", formats.when(text_at(record, "started"))),
    ]
    return join(
        [
            element("p", "dlrun report of a run", class_="kicker"),
            element("h1", run.name),
            element("p", element("span", status, class_=f"status {_status_class(status)}")),
            tiles(figures),
            facts(choices),
        ]
    )


def results(run: RunView) -> Section | None:
    """Loss and metrics of each split."""
    record = run.record
    splits = [split for split in SPLITS if mapping_at(record, split)]
    names = list(dict.fromkeys(name for split in splits for name in mapping_at(record, split)))
    parts: list[Content] = [_failure(record)]
    if names:
        rows = []
        for name in names[:500]:
            values = [finite(mapping_at(record, split).get(name)) for split in splits]
            better = {"max": "larger is better", "min": "smaller is better"}
            cells = [
                number_cell(v, "not finite" if v is None else formats.number(v)) for v in values
            ]
            rows.append([formats.cut(name), *cells, better.get(run.direction(name) or "", "")])
        caption = f"Loss and metrics with the weights of epoch {run.best_epoch}"
        parts.append(table(caption, ["metric", *splits, "direction"], rows, class_="compact"))
        parts.append(
            note(
                "Train and validation are what the best epoch logged; test was evaluated after it "
                "was restored. Training metrics are means over an epoch in which weights change."
            )
        )
        stopped = text_at(record, "stopped_by")
        parts.append(facts([("stopped by", stopped)]))
    elif text_at(record, "status") == "running":
        parts.append(note("The run has not ended: results come with its last epoch."))
    content = join(parts)
    return Section("results", "Results", content) if content else None


def again(run: RunView) -> Section:
    """What was run, and how to run it again."""
    record = run.record
    command = [str(word) for word in list_at(record, "command")]
    path = shlex.quote(str(run.path))
    lines = [shlex.join(command)] if command else []
    parts: list[Content] = [
        element("p", "The command that started it:"),
        code(*lines) if lines else note("run.json names no command."),
    ]
    if entries := list_at(record, "resumed"):
        resumed = [
            shlex.join(str(word) for word in list_at(entry, "command")) for entry in entries[:20]
        ]
        parts += [element("p", f"It was resumed {_times(len(entries))}:"), code(*resumed)]
    parts += setup(record)
    parts += [element("p", "What else to do with it:"), code(*_next(run, path))]
    return Section("again", "Run it again", join(parts))


def setup(record: Mapping[str, Any]) -> list[Content]:
    """How to have the code and the packages that a run had."""
    commit = text_at(record, "git", "commit")
    versions = mapping_at(record, "versions")
    pins = [f"{name}=={text_at(versions, name)}" for name in versions if name != "python"]
    lines = [shlex.join(["git", "checkout", commit])] if commit else []
    lines += [shlex.join(["pip", "install", *pins])] if pins else []
    if not lines:
        return []
    parts: list[Content] = [element("p", "With the code and packages that it had:"), code(*lines)]
    if text_at(record, "git", "dirty") == "true":
        parts.append(
            note(
                "Files of the working directory differed from that commit, and no file of the run "
                "holds the difference."
            )
        )
    return parts


def _next(run: RunView, path: str) -> list[str]:
    if text_at(run.record, "status") != "completed":
        return [f"dlrun resume {path}"]
    return [
        f"dlrun evaluate {path}",
        f"dlrun predict {path} --output predictions.csv",
        f"dlrun train init_from={path}",
    ]


def _failure(record: Mapping[str, Any]) -> Content:
    """Why the run failed."""
    message = text_at(record, "error")
    if not message:
        return None
    trace = text_at(record, "traceback")
    return element(
        "div",
        element("p", element("strong", "It failed: "), message[:2000]),
        details("Traceback", code(trace[-20_000:])) if trace else None,
        class_="failure",
    )


def _with_version(record: Mapping[str, Any], backend: str) -> str:
    return f"{backend} {text_at(record, 'versions', backend)}".strip()


def _status_class(status: str) -> str:
    known = {"completed": "good", "running": "busy"}
    return known.get(status, "bad")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"

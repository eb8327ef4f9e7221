"""What a sweep ran, and how to run it again."""

from __future__ import annotations

import shlex

from dlrun.report.page.markup import Content, element, join
from dlrun.report.page.parts import Section, code
from dlrun.report.page.reading import list_at, mapping_at, text_at
from dlrun.report.page.sections.overview import setup
from dlrun.report.page.sweep_view import SweepView

SEARCH = ("trials", "sampler", "pruner", "objectives")


def again(sweep: SweepView) -> Section:
    """The command of the sweep, and of its best run."""
    words = ["dlrun", "sweep", *(str(word) for word in list_at(sweep.record, "overrides"))]
    if runs_file := text_at(sweep.record, "runs_file"):
        words += ["--runs", runs_file]
    if search := mapping_at(sweep.record, "search"):
        words += ["--search", "optuna"]
        for name in SEARCH:
            if value := text_at(search, name):
                words += [f"--{name}", value]
    if jobs := text_at(sweep.record, "jobs"):
        words += ["--jobs", jobs]
    path = shlex.quote(str(sweep.path))
    parts: list[Content] = [element("p", "The sweep:"), code(shlex.join(words))]
    if sweep.ranked:
        best = sweep.ranked[0]
        typed = [str(word) for word in list_at(best.record, "overrides")]
        parts += [
            element("p", f"Its best run, {best.name}, alone:"),
            code(shlex.join(["dlrun", "train", *typed])),
        ]
    lines = [f"dlrun sweep --resume {path}"]
    if sweep.ranked:
        lines += [f"dlrun {verb} {path}/{sweep.ranked[0].name}" for verb in ("evaluate", "report")]
    parts += [*setup(sweep.first), element("p", "What else to do with it:"), code(*lines)]
    return Section("again", "Run it again", join(parts))

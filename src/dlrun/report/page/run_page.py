"""The page of one run."""

from __future__ import annotations

from dlrun.report.page.document import document
from dlrun.report.page.run_view import RunView
from dlrun.report.page.sections.curves import Charts, curves
from dlrun.report.page.sections.data import data
from dlrun.report.page.sections.environment import config, environment
from dlrun.report.page.sections.errors import errors
from dlrun.report.page.sections.evaluation import evaluation
from dlrun.report.page.sections.model import model
from dlrun.report.page.sections.overview import again, header, results
from dlrun.report.page.sections.profile import profile
from dlrun.report.page.sections.timings import timings


def run_page(run: RunView) -> str:
    """The page of a run, whole."""
    charts: Charts = {}
    sections = [
        results(run),
        curves(run, charts),
        evaluation(run, charts),
        errors(run),
        data(run),
        model(run),
        timings(run, charts),
        profile(run),
        again(run),
        environment(run.record),
        config(run),
    ]
    return document(
        f"{run.name}, a run of dlrun", header(run), [s for s in sections if s is not None], charts
    )

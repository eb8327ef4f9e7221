"""The page of a sweep."""

from __future__ import annotations

from collections.abc import Collection

from dlrun.report.page.document import document
from dlrun.report.page.sections.curves import Charts
from dlrun.report.page.sections.environment import environment
from dlrun.report.page.sections.sweep.again import again
from dlrun.report.page.sections.sweep.backends import backends
from dlrun.report.page.sections.sweep.keys import keys
from dlrun.report.page.sections.sweep.leaderboard import header, leaderboard
from dlrun.report.page.sections.sweep.overlaid import overlaid
from dlrun.report.page.sections.sweep.pareto import pareto
from dlrun.report.page.sweep_view import SweepView


def sweep_page(sweep: SweepView, reports: Collection[str] = ()) -> str:
    """The page of a sweep, whole.

    Args:
        sweep: The sweep.
        reports: The names of the runs that have a page of their own beside it, to link to.
    """
    charts: Charts = {}
    pages = frozenset(reports)
    sections = [
        leaderboard(sweep, pages),
        pareto(sweep, charts),
        keys(sweep, charts),
        overlaid(sweep, charts),
        backends(sweep),
        again(sweep),
        environment(sweep.first),
    ]
    return document(
        f"{sweep.name}, a sweep of dlrun",
        header(sweep, pages),
        [section for section in sections if section is not None],
        charts,
    )

"""``dlrun report``: one page about a run or a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlrun.config.project import HERE, Project
from dlrun.errors import DlrunError
from dlrun.remote.places import require_output
from dlrun.report.page.run_view import DataView
from dlrun.runs.directory import RunDir
from dlrun.runs.locate import find_run, find_sweep
from dlrun.runs.names import short_names
from dlrun.system.files import check_writable, is_file, write_text

PAGE = "report.html"


def report(
    run: str,
    *,
    output: Path | None = None,
    with_data: bool = True,
    by: str = "epoch",
    runs_dir: Path = Path("runs"),
    project: Project = HERE,
) -> dict[str, Any]:
    """Write a page about a run or a sweep. No framework is imported.

    Args:
        run: The directory of a run or a sweep, its name or id, or ``latest``.
        output: The file to write; None for ``report.html`` in that directory.
        with_data: Whether to read the data set of a run, and show examples of it.
        by: What curves have along their axis, one of :data:`dlrun.runs.history.PLACES`.
        runs_dir: Where to look for names.
        project: The user's own options, and what is trusted.

    Returns:
        ``report``, the file; ``kind``, ``run`` or ``sweep``; ``bytes``; and ``notes``, what was
        left out and why.

    Raises:
        DlrunError: If there is no such run or sweep, or the file can't be written.
    """
    if sweep := find_sweep(run, runs_dir):
        return _report_sweep(sweep, output, by)
    from dlrun.report.page.run_page import run_page
    from dlrun.report.page.run_view import read_run

    opened = find_run(run, runs_dir)
    path = output or opened.path / PAGE
    require_output(output, opened.path, PAGE)
    check_writable(path, "--output", name=PAGE)
    data = DataView(missing="Left out by --no-data.")
    if with_data:
        data = _data_of(opened, runs_dir, project)
    [name] = short_names([opened.path], parts=2)
    page = run_page(read_run(opened, name, data, by))
    notes = [data.missing] if data.missing else []
    return {"kind": "run", **_write(path, page), "notes": notes}


def _report_sweep(sweep: Path, output: Path | None, by: str) -> dict[str, Any]:
    from dlrun.report.page.sweep_page import sweep_page
    from dlrun.report.page.sweep_view import read_sweep

    path = output or sweep / PAGE
    require_output(output, sweep, PAGE)
    check_writable(path, "--output", name=PAGE)
    [name] = short_names([sweep], parts=2)
    view = read_sweep(sweep, name, by)
    # Links to the pages of its runs lead from beside sweep.json alone.
    is_beside = path.resolve().parent == sweep.resolve()
    pages = [run.name for run in view.runs if is_beside and is_file(sweep / run.name / PAGE)]
    return {"kind": "sweep", **_write(path, sweep_page(view, pages)), "notes": []}


def _write(path: Path, page: str) -> dict[str, Any]:
    try:
        write_text(path, page)
    except OSError as error:
        raise DlrunError(f"can't write {path}: {error.strerror or error}", exit_code=1) from error
    return {"report": str(path), "bytes": len(page.encode())}


def _data_of(run: RunDir, runs_dir: Path, project: Project) -> DataView:
    """The run's data set as it is now; why not, if it can't be read."""
    from dlrun.inference.examples import read_examples

    try:
        return read_examples(run, runs_dir=runs_dir, project=project)
    except DlrunError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return DataView(missing=f"The data set can't be read: {error.message}{hint}.")

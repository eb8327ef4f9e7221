"""``dlrun parity --all``: compare the backends on each option of several config groups."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlrun import __version__
from dlrun.config.compose import compose
from dlrun.config.options import example, list_options
from dlrun.errors import DlrunError, did_you_mean, nearest
from dlrun.proofs.parity import result_directory
from dlrun.proofs.parity_compare import compare
from dlrun.proofs.parity_members import Settings, compose_members, list_members
from dlrun.proofs.parity_process import Processes
from dlrun.report.parity_all import markdown, row_line
from dlrun.system.files import check_writable, write_json, write_text
from dlrun.system.override_text import split_override

log = logging.getLogger("dlrun")

GROUPS = ("model", "optimizer", "schedule", "loss", "metrics")
BATCH_SIZE = 32
# Of the command in an option's file: it may choose a backend, and says how long to train.
LEFT_OUT = ("epochs", "init_from", "backend", "batch_size", "data.limit")


class Case(NamedTuple):
    """One option, with the overrides that try it.

    Args:
        group: Its group.
        option: Its name.
        overrides: Those of the command in its file, and the user's.
        only: The one backend that it is for; None for all.
        needs: The file that the command reads, where it is not there; None if there is none.
    """

    group: str
    option: str
    overrides: list[str]
    only: str | None
    needs: str | None


def parity_all(
    overrides: Sequence[str] = (),
    *,
    select: Sequence[str] = (),
    chosen: Sequence[str] = (),
    output: Path | None = None,
    settings: Settings,
) -> dict[str, Any]:
    """Compare the backends on each option of the groups in ``GROUPS``, and write a table.

    Each option is tried with the command in its YAML file, in small batches. The processes are
    shared: an option takes seconds.

    Args:
        overrides: For every option; they take precedence over the command in the file.
        select: Groups, or options as ``group=option``; empty for all.
        chosen: Backends; empty for all that are installed.
        output: Where to write the table, as Markdown; None for beside the result.
        settings: Steps, tolerances and the user's own options.

    Returns:
        The result, as ``dlrun parity --all --json`` prints it.

    Raises:
        DlrunError: If there is no such group or option, nothing to compare, or the table can't be
            written. An option that fails is a row with its error.
    """
    if output is not None:
        check_writable(output, "--output", name="parity.md")
    cases = _cases(overrides, select, settings)
    list_members(overrides, chosen)  # a mistake of all options is refused once, not in each row
    runs_dir = Path(compose(overrides, project=settings.project).runs_dir)
    rows: list[dict[str, Any]] = []
    with result_directory(runs_dir) as directory, Processes() as processes:
        for number, case in enumerate(cases, 1):
            row = _row(case, chosen, processes, directory, settings)
            rows.append(row)
            log.info("%d/%d  %s=%s  %s", number, len(cases), *case[:2], row_line(row))
        result: dict[str, Any] = {
            "dlrun": __version__,
            "overrides": list(overrides),
            "steps": settings.steps,
            "batch_size": BATCH_SIZE,
            "rows": rows,
            "beyond": [f"{r['group']}={r['option']}" for r in rows if not r["within"]],
            "directory": str(directory),
            "output": str(output or directory / "parity.md"),
        }
        write_text(Path(result["output"]), markdown(result))
        write_json(directory / "parity.json", result)
    return result


def _cases(overrides: Sequence[str], select: Sequence[str], settings: Settings) -> list[Case]:
    """The cases of the selected groups and options.

    Raises:
        DlrunError: If there is no such group or option.
    """
    options = list_options(settings.project.config_dir)
    selected = [word.partition("=") for word in select] or [(group, "", "") for group in GROUPS]
    cases: dict[tuple[str, str], Case] = {}
    for group, _, option in selected:
        if group not in GROUPS:
            raise DlrunError(
                f"--select {group}: expected one of {', '.join(GROUPS)}",
                hint=did_you_mean(group, GROUPS),
            )
        if option and option not in options[group]:
            near = nearest(option, options[group])
            raise DlrunError(
                f"--select {group}={option}: no such option in group '{group}'",
                hint=f"did you mean {group}={near}?" if near else f"see 'dlrun list {group}'",
            )
        for name in [option] if option else options[group]:
            cases[group, name] = _case(group, name, overrides, settings)
    return list(cases.values())


def _case(group: str, option: str, overrides: Sequence[str], settings: Settings) -> Case:
    typed = {split_override(override)[0] for override in overrides}
    words = example(group, option, settings.project.config_dir)
    if not words:
        words = [f"{'+' if group == 'metrics' else ''}{group}={option}"]
    given = [(split_override(word)[0], word) for word in words]
    values = {key: word.partition("=")[2] for key, word in given}
    path = None if "data.path" in typed else values.get("data.path")
    needs = None if path is None or Path(path).exists() else path
    kept = [word for key, word in given if key not in (*LEFT_OUT, *typed)]
    small = [] if "batch_size" in typed else [f"batch_size={BATCH_SIZE}"]
    return Case(group, option, [*kept, *small, *overrides], values.get("backend"), needs)


def _row(
    case: Case, chosen: Sequence[str], processes: Processes, directory: Path, settings: Settings
) -> dict[str, Any]:
    """The row of a case; ``within`` is true where nothing can be compared."""
    row = {**case._asdict(), "result": None, "error": None, "within": True}
    if case.only or case.needs:
        return row
    try:
        members = list_members(case.overrides, chosen)
        configs = compose_members(members, settings)
        if "limit" in next(iter(configs.values())).data:  # no more samples than the steps need
            limit = f"data.limit={BATCH_SIZE * settings.steps}"
            members = {name: [*typed, limit] for name, typed in members.items()}
            configs = compose_members(members, settings)
        result, _ = compare(configs, members, processes, directory, settings)
    except DlrunError as error:
        return {**row, "error": error.message, "within": False}
    return {**row, "result": result, "within": result["within"]}

"""``dlrun diff``."""

from pathlib import Path

from dlrun.commands.arguments import Json, Run, RunsDir
from dlrun.commands.terminal import print_result, report_errors


def diff(run: Run, other: Run, runs_dir: RunsDir = Path("runs"), as_json: Json = False) -> None:
    """Show what differs between two runs: config, code, data, environment and result.

    The code is compared by git commit, as far as the repository still has it, and by a hash of the
    project's modules. 'dlrun compare' puts any number of runs side by side.

    \b
    Examples:
      dlrun diff k3f9 69jz
      dlrun diff k3f9 latest --json
    """
    with report_errors() as out:
        from dlrun.api.diff import diff as run_diff
        from dlrun.report.diff import diff_lines

        print_result(out, run_diff(run, other, runs_dir=runs_dir), as_json, diff_lines)

"""``dlrun doctor``."""

from dlrun.commands.arguments import Json
from dlrun.commands.terminal import print_result, report_errors


def doctor(as_json: Json = False) -> None:
    """Report the Python version, the backends and their devices, and how to install missing ones.

    \b
    Example:
      dlrun doctor --json
    """
    with report_errors() as out:
        from dlrun.api.doctor import doctor as run_doctor
        from dlrun.report.tables import doctor_table

        print_result(out, run_doctor(), as_json, doctor_table)

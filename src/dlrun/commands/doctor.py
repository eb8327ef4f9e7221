"""``dlrun doctor``."""

from dlrun.commands.arguments import Json
from dlrun.commands.terminal import print_result, reported


def doctor(as_json: Json = False) -> None:
    """Report Python, the backends, their devices, and how to install what is missing.

    \b
    Example:
      dlrun doctor --json
    """
    with reported() as out:
        from dlrun.api.doctor import doctor as examine
        from dlrun.report.tables import doctor_table

        print_result(out, examine(), as_json, doctor_table)

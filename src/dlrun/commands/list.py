"""``dlrun list``."""

from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, require_choice
from dlrun.commands.terminal import print_result, report_errors


def list(
    group: Annotated[
        str | None, typer.Argument(metavar="GROUP", help="One group, such as model.")
    ] = None,
    config_dir: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """List the available options by group.

    \b
    Examples:
      dlrun list
      dlrun list model
    """
    with report_errors() as out:
        from dlrun.config.options import list_options
        from dlrun.report.tables import options_table

        options = list_options(config_dir)
        if group is not None:
            groups = {option: name for name, found in options.items() for option in found}
            require_choice("group", group, tuple(options), groups)
            options = {group: options[group]}
        print_result(out, options, as_json, options_table)

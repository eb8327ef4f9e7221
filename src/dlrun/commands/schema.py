"""``dlrun schema``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir
from dlrun.commands.terminal import print_result, report_errors


def schema(
    group: Annotated[
        str | None,
        typer.Argument(metavar="GROUP", help="For the files of this group, such as model."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Write it to a file, which YAML files name, and not to stdout."),
    ] = None,
    config_dir: ConfigDir = None,
) -> None:
    """Print a JSON schema, with which an editor completes and checks a config as you type.

    Name it in the first line of a file: # yaml-language-server: $schema=../schema.json

    \b
    Examples:
      dlrun schema --output schema.json
      dlrun schema model --output model.schema.json
    """
    with report_errors() as out:
        from dlrun.config.json_schema import json_schema
        from dlrun.system.files import check_writable, dump_json, write_text

        if output is not None:
            check_writable(output, "--output", name="schema.json")
        text = dump_json(json_schema(group, config_dir=config_dir), indent=2)
        if output is None:
            print_result(out, {}, False, lambda _: text)
        else:
            write_text(output, f"{text}\n")

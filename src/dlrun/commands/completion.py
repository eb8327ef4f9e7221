"""``dlrun completion``."""

from typing import Annotated

import typer

from dlrun.commands.arguments import require_choice
from dlrun.commands.terminal import print_result, report_errors


def completion(
    shell: Annotated[
        str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)
    ],
) -> None:
    """Print the script that completes dlrun's words in a shell.

    It completes commands, options, groups and their options, keys, and names of runs, your own
    ./configs included.

    \b
    Examples:
      dlrun completion bash >> ~/.bashrc
      dlrun completion zsh > ~/.zfunc/_dlrun
      dlrun completion fish > ~/.config/fish/completions/dlrun.fish
    """
    with report_errors() as out:
        require_choice("shell", shell, ("bash", "zsh", "fish"))
        from dlrun.completion.scripts import SCRIPTS

        print_result(out, {}, False, lambda _: SCRIPTS[shell].rstrip("\n"))

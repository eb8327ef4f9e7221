"""Say what is wrong with a command line, in the form of dlrun's other errors."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from dlrun.commands.terminal import print_error
from dlrun.errors import DlrunError, nearest, shorten

# Of click, of which Typer may hold a copy.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
# What other tools call a command.
COMMANDS = {
    "ls": "runs",
    "history": "runs",
    "fit": "train",
    "run": "train",
    "test": "evaluate",
    "validate": "evaluate",
    "infer": "predict",
    "multirun": "sweep",
    "search": "sweep",
    "init": "new",
    "create": "new",
    "plot": "report",
    "rm": "clean",
    "delete": "clean",
    "options": "list",
    "benchmark": "bench",
}


@contextmanager
def report_usage(words: Sequence[str]) -> Iterator[None]:
    """Report what click refuses as an error and a hint, with exit code 2.

    Args:
        words: The command line after ``dlrun``.
    """
    try:
        yield
    except USAGE_ERROR as error:
        print_error(_usage_error(error, words))
        raise typer.Exit(2) from error


def refuse_command(words: Sequence[str], commands: Collection[str]) -> None:
    """Refuse a command that dlrun does not have.

    Args:
        words: The command and what follows it.
        commands: The commands that there are.

    Raises:
        typer.Exit: If the first word is none of them; its error is printed.
    """
    name, *rest = words
    if name in commands:
        return
    near = COMMANDS.get(name) or nearest(name, commands)
    hint = f"did you mean dlrun {near}?" if near else "'dlrun --help' lists them"
    if name in ("help", "version"):
        hint = f"did you mean {' '.join(['dlrun', *rest[:1], f'--{name}'])}?"
    elif "=" in name:
        hint = f"did you mean dlrun train {shorten(name)}?"
    print_error(DlrunError(f"dlrun has no command {shorten(name)}", hint=hint))
    raise typer.Exit(2)


def _usage_error(error: Any, words: Sequence[str]) -> DlrunError:
    command = error.ctx.command_path if error.ctx else " ".join(["dlrun", *words[:1]])
    hint = f"'{command} --help' shows its arguments and options"
    if (option := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        names = {name.lstrip("-"): name for name in error.possibilities or ()}
        near = nearest(option.lstrip("-"), names)
        takes = {param.name for param in error.ctx.command.params}
        if near:
            hint = f"did you mean {names[near]}?"
        elif "overrides" in takes:
            hint = _as_override(option, words) or hint
        return DlrunError(f"{command} has no option {shorten(option)}", hint=hint)
    message = error.format_message().replace("'", "").rstrip(".")
    message = re.sub(
        r"Got unexpected extra arguments?(\(s\))? \((.*)\)", r"unexpected argument \2", message
    )
    if wrong := re.match(r"Invalid value for (.*?): (.*)", message, re.DOTALL):
        problem = re.sub(r", unable to parse.*$", "", wrong[2].replace("Input should", "must"))
        return DlrunError(f"{wrong[1].strip('[]')}: {problem}", hint=hint)
    return DlrunError(f"{command}: {message[:1].lower()}{message[1:]}", hint=hint)


def _as_override(option: str, words: Sequence[str]) -> str | None:
    """Which override stands for an option such as ``--batch-size 32``, as a hint; None if none."""
    from dlrun.config.bare_words import meant_by
    from dlrun.config.compose import compose

    at, typed = next((n, word) for n, word in enumerate(words) if word.startswith(option))
    key, separator, value = typed.lstrip("-").partition("=")
    following = words[at + 1 : at + 2]
    if not separator:
        value = next((word for word in following if not word.startswith("-")), "VALUE")
    key = key.replace("-", "_")
    override = f"{key}={value}"
    try:
        compose([override])
    except DlrunError as error:
        if "is not a config key" in error.message:  # it may be called otherwise, as lr is
            chosen = meant_by(key, only_exact=True)[0]
            return f"did you mean {chosen}?" if chosen else error.hint
    return f"did you mean {override}?"

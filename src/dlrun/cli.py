"""The command line: the commands and their order; each is a file of ``dlrun.commands``."""

import atexit
import importlib
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dlrun import __version__
from dlrun.commands.terminal import open_standard_streams

# By panel of the help; a command's file and function have its name, with a _ for each -.
COMMANDS = {
    "Runs": ("train", "resume", "sweep", "evaluate", "predict", "runs", "compare"),
    "Configs": ("summary", "config", "list"),
    "Proofs": ("parity", "verify-resume", "reproduce", "doctor"),
}


class _Commands(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """``dlrun train -m`` is ``dlrun sweep``, and takes its options."""
        name, *rest = args
        if name == "train":
            both = [self.get_command(ctx, command) for command in ("train", "sweep")]
            options = [o for command in both for o in getattr(command, "params", ())]
            valued = {word for o in options if not getattr(o, "is_flag", True) for word in o.opts}
            kept = _without_multirun(rest, valued)
            if kept != rest:
                args = ["sweep", *kept]
        return super().resolve_command(ctx, args)


def _without_multirun(words: Sequence[str], valued: Container[str]) -> list[str]:
    """The words without ``-m`` and ``--multirun``, where these are options.

    Args:
        words: What follows ``train``.
        valued: The options that take a value, which may look like another option.
    """
    kept: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":  # what follows is no option
            return [*kept, word, *left]
        if word == "--multirun":
            continue
        takes_next = word in valued
        if word[:1] == "-" and word[1:2].isalpha():  # several may stand behind one dash, as in -qm
            at = next((n for n, c in enumerate(word[1:], 1) if f"-{c}" in valued), len(word))
            takes_next = at == len(word) - 1
            word = word[:at].replace("m", "") + word[at:]  # noqa: PLW2901
            if word == "-":
                continue
        kept.append(word)
        if takes_next:
            kept += itertools.islice(left, 1)
    return kept


app = typer.Typer(
    name="dlrun",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run deep-learning experiments from config files, on any Keras 3 backend.\n\n"
    "\b\nExamples:\n"
    "  dlrun train backend=jax model=mnist_mlp\n"
    "  dlrun evaluate latest backend=torch --fail-under accuracy=0.97\n"
    "  dlrun list model",
)


def main() -> None:
    """Entry point of the ``dlrun`` command."""
    open_standard_streams()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as end:
        if end.code not in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            raise
        _exit_at_once(end.code)


def _exit_at_once(code: int) -> None:
    """Without the threads that Python waits for, and so without steps that nobody waits for.

    Of these jax has been told some 30 before it has computed one.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"dlrun {__version__}")
        raise typer.Exit


def _help(docstring: str) -> str:
    """A docstring with each paragraph in one line, which Typer does for the first alone."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(p if p.startswith("\b") else p.replace("\n", " ") for p in paragraphs)


for _panel, _names in COMMANDS.items():
    for _name in _names:
        _file = _name.replace("-", "_")
        _command = getattr(importlib.import_module(f"dlrun.commands.{_file}"), _file)
        app.command(_name, help=_help(_command.__doc__ or ""), rich_help_panel=_panel)(_command)

"""The command line: the commands in their order. Each is a module of ``dlrun.commands``."""

import atexit
import copy
import importlib
import inspect
import itertools
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from dlrun import __version__
from dlrun.commands.terminal import open_standard_streams, print_error, stdout_errors
from dlrun.commands.usage import refuse_command, refuse_options_as_keys, report_usage
from dlrun.errors import DlrunError

# By panel of the help. A command's module and function are named after it, with _ for -.
COMMANDS = {
    "Runs": ("train", "resume", "sweep", "launch", "evaluate", "predict", "export"),
    "Records": ("runs", "show", "compare", "diff", "report", "rename", "tag", "clean", "push"),
    "Configs": ("new", "data", "summary", "config", "list", "schema"),
    "Proofs": ("parity", "bench", "tune", "verify-resume", "reproduce", "doctor"),
    "Shell": ("completion",),
}


MOST_COLUMNS = 100  # of the help


class _Commands(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Run ``dlrun train -m`` as ``dlrun sweep``, which may have the flag too."""
        refuse_command(args, self.commands)
        name, *rest = args
        if name in ("train", "sweep"):
            commands = [self.get_command(ctx, command) for command in ("train", "sweep")]
            options = [o for command in commands for o in getattr(command, "params", ())]
            valued = {word for o in options if not getattr(o, "is_flag", True) for word in o.opts}
            words = _without_multirun(rest, valued)
            if words != rest:
                args = ["sweep", *words]
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as Typer does, without rich: its import takes as long as all else."""
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
        usage = " ".join([ctx.command_path, *self.collect_usage_pieces(ctx)])
        text = inspect.cleandoc(self.help or "").replace("\b\n", "")
        options = [
            ("  ".join(sorted(param.opts, key=len, reverse=True)), getattr(param, "help", ""))
            for param in self.get_params(ctx)
            if param.param_type_name == "option"
        ]
        panels: dict[str, list[tuple[str, str]]] = {"Options": options}
        for name, command in self.commands.items():
            short = command.get_short_help_str(limit=10**6)
            panels.setdefault(getattr(command, "rich_help_panel", ""), []).append((name, short))
        lines = [f"Usage: {usage}", "", *text.splitlines()]
        lines = [f" {line}".rstrip() for line in ("", *lines, "")]
        column = max(len(name) for rows in panels.values() for name, _ in rows) + 2
        for title, rows in panels.items():
            lines += _box(title, rows, column, width, color=color)
        print("\n".join(lines))  # as Typer does with rich: also where no command is typed

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Report options that dlrun itself does not have."""
        if not args:  # prints the help
            return super().make_context(info_name, args, parent, **extra)
        with report_usage(list(args)):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Report what a command does not take."""
        with report_usage([*ctx._protected_args, *ctx.args]):
            return super().invoke(ctx)


class _Command(TyperCommand):
    def invoke(self, ctx: Any) -> Any:
        """Refuse options that are typed as overrides."""
        refuse_options_as_keys(ctx)
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with its brackets, as in ``recall[cat]``: rich takes them for markup.

        Typer also shows a flag as ``<bool>``, although it takes no value, and a number with a range
        as ``<int range> [x>=1]``, which tells twice that it has one.
        """
        from rich.markup import escape

        shown = copy.copy(self)
        shown.help = escape(self.help or "")
        # Copies: a usage error shows the metavar too.
        shown.params = [copy.copy(param) for param in self.get_params(ctx)]
        shown.add_help_option = False  # it is among them
        for param in shown.params:
            if isinstance(param, TyperOption) and param.is_flag:
                param.metavar = ""
            elif isinstance(param, TyperOption) and param.metavar is None:
                param.metavar = (param.display_type_rich(ctx) or "").replace(" range", "")
        super(_Command, shown).format_help(ctx, formatter)


def _box(
    title: str, rows: Sequence[tuple[str, str]], column: int, width: int, *, color: bool
) -> list[str]:
    """A box with a title around names and what they mean."""
    dim, bold, end = ("\x1b[2m", "\x1b[1;36m", "\x1b[0m") if color else ("", "", "")
    side = f"{dim}│{end}"
    lines = [f"{dim}╭─ {title} {'─' * (width - len(title) - 5)}╮{end}"]
    space = max(width - column - 4, 10)
    for name, meaning in rows:
        for number, line in enumerate(textwrap.wrap(meaning, space) or [""]):
            first = name if number == 0 else ""
            cell = f"{bold}{first}{end}" + " " * (column - len(first))
            lines.append(f"{side} {cell}{line.ljust(space)} {side}")
    return [*lines, f"{dim}╰{'─' * (width - 2)}╯{end}"]


def _without_multirun(words: Sequence[str], valued: Container[str]) -> list[str]:
    """Remove ``-m`` and ``--multirun`` where they are options, not values.

    Args:
        words: The command line after ``train``.
        valued: The options that take a value. The value may look like an option.
    """
    result: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--":  # no options follow
            return [*result, word, *remaining]
        if word == "--multirun":
            continue
        takes_next = word in valued
        if word[:1] == "-" and word[1:2].isalpha():  # combined short options, as in -qm
            at = next((n for n, c in enumerate(word[1:], 1) if f"-{c}" in valued), len(word))
            takes_next = at == len(word) - 1
            word = word[:at].replace("m", "") + word[at:]  # noqa: PLW2901
            if word == "-":
                continue
        result.append(word)
        if takes_next:
            result += itertools.islice(remaining, 1)
    return result


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
    if "_DLRUN_COMPLETE" in os.environ:  # a command that was installed before dlrun.__main__ did
        from dlrun.completion.complete import main as complete

        complete()
        return
    open_standard_streams()
    try:
        with stdout_errors(sys.stdout):  # of a help text; a command reports its own
            try:
                app()
            finally:
                sys.stdout.flush()
    except DlrunError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as end:
        if end.code not in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            raise
        _exit_at_once(end.code)


def _exit_at_once(code: int) -> None:
    """Exit without joining threads.

    Python would wait for the steps that jax has dispatched, up to about 30, whose results are not
    needed.
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
    """Put each paragraph of a docstring on one line; Typer does so only for the first."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(p if p.startswith("\b") else p.replace("\n", " ") for p in paragraphs)


for _panel, _names in COMMANDS.items():
    for _name in _names:
        _file = _name.replace("-", "_")
        _command = getattr(importlib.import_module(f"dlrun.commands.{_file}"), _file)
        _text = _help(_command.__doc__ or "")
        app.command(_name, cls=_Command, help=_text, rich_help_panel=_panel)(_command)

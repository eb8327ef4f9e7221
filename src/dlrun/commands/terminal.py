"""A command's standard streams: the result on stdout, all other output on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TextIO

import typer

from dlrun.errors import DlrunError, RunInterrupted, cut_message, first_line
from dlrun.remote.places import shown_text

if TYPE_CHECKING:
    from dlrun.runs.result import RunResult

WATCH_SECONDS = 1.0


def print_result(out: TextIO, result: Mapping[str, Any], as_json: bool, table: Any) -> None:
    """Print a result on stdout. But for ``predict --output -``, nothing else in dlrun does."""
    from dlrun.system.files import dump_json  # not imported for --help

    with stdout_errors(out):
        print(shown_text(dump_json(result) if as_json else table(result)), file=out, flush=True)


def print_run(out: TextIO, result: RunResult, as_json: bool) -> None:
    """Print the result of a run that has ended, and what to type next.

    Raises:
        DlrunError: If some of the run is not in its bucket.
    """
    from dlrun.remote.mirror import check_sent
    from dlrun.report.tables import train_table

    print_result(out, result.to_dict(), as_json, train_table)
    check_sent(Path(result.run_dir))
    log_next(result.run_dir)


@contextmanager
def stdout_errors(out: TextIO) -> Iterator[None]:
    """Report that the standard output can't be written; end quietly if its reader has closed it."""
    try:
        yield
    except OSError as error:
        # Else the rest of the buffer would fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if isinstance(error, BrokenPipeError):  # the reader has closed the pipe, as head does
            raise typer.Exit(1) from error
        raise DlrunError(f"can't write to stdout: {error.strerror}", exit_code=1) from error


def log_next(run_dir: str) -> None:
    """Log what to type after a run, which has to have a checkpoint to be evaluated."""
    import logging

    from dlrun.checkpoints.store import list_epochs
    from dlrun.config.run_config import read_config
    from dlrun.remote.places import working_folder
    from dlrun.runs.directory import CHECKPOINTS, CONFIG

    log, folder = logging.getLogger("dlrun"), working_folder(Path(run_dir))
    if list_epochs(folder / CHECKPOINTS):
        log.info("next   dlrun evaluate %s", quote(run_dir))
    elif "checkpoint" in read_config(folder / CONFIG)["callbacks"]:
        log.info(
            "its checkpoints were removed; dlrun train --from %s trains it again", quote(run_dir)
        )
    else:
        log.info(
            "no checkpoint is kept without the callback checkpoint;"
            " +callbacks=NAME adds a callback to the usual ones"
        )


def watch_text(out: TextIO, text: Callable[[], str]) -> None:
    """Show a text that changes, until Ctrl-C: in its place on a terminal, else each new one.

    Args:
        out: From :func:`report_errors`.
        text: Makes it anew.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    shown = ""
    console = Console(file=out)
    with suppress(KeyboardInterrupt), stdout_errors(out):
        if not out.isatty():
            while True:
                if (new := text()) != shown:
                    print(new, file=out, flush=True)
                    shown = new
                time.sleep(WATCH_SECONDS)
        with Live(Text(text()), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(Text(text()), refresh=True)


class GuardedStream:
    """The standard output for a result that is written in parts.

    Args:
        out: From :func:`report_errors`.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write some of it; errors are those of :func:`stdout_errors`."""
        with stdout_errors(self._out):
            return self._out.write(text)

    def flush(self) -> None:
        """Write the rest; errors are those of :func:`stdout_errors`."""
        with stdout_errors(self._out):
            self._out.flush()


def open_standard_streams() -> None:
    """Reopen closed streams, as by ``2>&-``: else the next file opened would get their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


@contextmanager
def report_errors(quiet: bool = False) -> Iterator[TextIO]:
    """Send the log to stderr, and turn exceptions into messages and exit codes.

    Yields stdout, for the result alone. All other prints, such as those of a user's model or of
    Keras, go to stderr.
    """
    # Not imported for --help.
    from dlrun.commands.log import log_on_stderr
    from dlrun.config.approvals import separate_approvals

    out = sys.stdout
    try:
        with log_on_stderr(quiet=quiet), separate_approvals(), redirect_stdout(sys.stderr):
            yield out
    except DlrunError as error:
        print_error(error)
        raise typer.Exit(error.exit_code) from error
    except OSError as error:
        print(_printable(f"error: {cut_message(_system_error(error))}"), file=sys.stderr)
        raise typer.Exit(1) from error
    except RunInterrupted as stop:
        raise typer.Exit(128 + stop.signum) from stop
    except KeyboardInterrupt as stop:
        print("interrupted", file=sys.stderr)  # a run that has begun raises RunInterrupted
        raise typer.Exit(130) from stop


def print_error(error: DlrunError) -> None:
    """Print an error and its hint on stderr."""
    print(_printable(f"error: {cut_message(shown_text(error.message))}"), file=sys.stderr)
    if error.hint:
        print(_printable(f"\nhint: {cut_message(shown_text(error.hint))}"), file=sys.stderr)


def _system_error(error: OSError) -> str:
    """What the system refused, in one line, where no part of dlrun says more."""
    reason = first_line(error) if error.strerror is None else error.strerror
    return reason if error.filename is None else f"can't use {error.filename}: {reason}"


def _printable(message: str) -> str:
    """Escape control characters: a message may quote an untrusted file, and terminals obey them."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message)

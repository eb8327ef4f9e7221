"""Commands that are called in pytest's process: for what ends before a framework is imported."""

import re

from typer.testing import CliRunner, Result

from dlrun.cli import app


def dlrun(*words: str) -> Result:
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*words: str, code: int = 2) -> str:
    """The stderr of a command that fails: ``error:`` and ``hint:``, and nothing on stdout."""
    result = dlrun(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert re.fullmatch(r"error: \S[^\n]*(\n  [^\n]+)*\n(\nhint: [^\n]+\n)?", result.stderr)
    return result.stderr

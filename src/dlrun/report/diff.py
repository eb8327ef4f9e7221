"""What differs between two runs, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlrun.errors import shorten
from dlrun.report.cells import plain
from dlrun.runs.query import number, text

PARTS = ("config", "data", "environment", "result")
MOST_FILES = 12
SHORT_COMMIT = 12


def diff_lines(result: Mapping[str, Any]) -> str:
    """A line for each value that differs, below the part that it belongs to.

    Args:
        result: The result of ``dlrun diff``.
    """
    one, other = (plain(run["run"]) for run in result["runs"])
    lines = [f"{one} -> {other}"]
    for part in PARTS:
        if pairs := result[part]:
            lines += ["", part, *_pairs(pairs)]
        if part == "config":
            lines += ["", "code", *(f"  {line}" for line in _code(result["code"]))]
    return "\n".join(lines)


def _pairs(pairs: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    width = max(map(len, pairs))
    for key, (before, after) in pairs.items():
        yield f"  {plain(key):<{width}}  {_text(before)} -> {_text(after)}"


def _text(value: Any) -> str:
    if isinstance(value, float) and number(value) is not None:
        return f"{value:.6g}"
    return "-" if value is None else plain(shorten(text(value)))


def _code(code: Mapping[str, Any]) -> Iterator[str]:
    before, after = code["commits"]
    dirty = [" with changes" if changed else "" for changed in code["dirty"]]
    if code["same"]:
        yield "the same" + (f", {before[:SHORT_COMMIT]}{dirty[0]}" if before else "")
        return
    if before and before == after:
        yield f"{before[:SHORT_COMMIT]}{dirty[0]} -> the same commit{dirty[1]}"
    elif before or after:
        shown = [commit[:SHORT_COMMIT] if commit else "no commit" for commit in (before, after)]
        yield f"{shown[0]}{dirty[0]} -> {shown[1]}{dirty[1]}"
    if code["same"] is None:
        yield "whether it differs was not recorded"
    elif code["modules"][0] != code["modules"][1] and before == after:
        yield "the modules of the project differ"
    if "files" in code:
        commits = "commit" if code["ahead"] == 1 else "commits"
        yield f"{code['ahead']} {commits} ahead, {code['behind']} behind"
        for file in code["files"][:MOST_FILES]:
            yield f"  {plain(file['file'])}  {_counts(file)}"
        if (left_out := code["changed_files"] - min(len(code["files"]), MOST_FILES)) > 0:
            yield f"  and {left_out} more files"


def _counts(file: Mapping[str, Any]) -> str:
    if file["added"] is None:
        return "binary"
    return f"+{file['added']} -{file['removed']}"

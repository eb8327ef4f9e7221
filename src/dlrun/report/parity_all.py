"""Report how far backends differ on each option: a Markdown table, and a line for each."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlrun.system import process

HEAD = """# Parity of every option

Written by `dlrun parity --all`; every number is from a run. Each row is the command in an option's
YAML file, in batches of {batch_size}: {steps} steps from the same weights on the same batches. A
number is the largest difference of a backend from {reference}; one in **bold** is beyond its
tolerance. [Parity](parity.md) says what is compared.

{overrides}dlrun {dlrun}, {versions},
Python {python}, {cores} cores, {system}.
"""
COLUMNS = ("option", "predictions", "loss of the first steps", "of all steps", "metrics after them")


def markdown(result: Mapping[str, Any]) -> str:
    """A section for each group, a row for each option.

    Args:
        result: From :func:`dlrun.proofs.parity_all.parity_all`.
    """
    rows: Sequence[Mapping[str, Any]] = result["rows"]
    compared = [row["result"] for row in rows if row["result"]]
    members = compared[0]["members"] if compared else {}
    lines = [
        HEAD.format(
            **{key: result[key] for key in ("dlrun", "batch_size", "steps")},
            reference=compared[0]["reference"] if compared else "the first",
            versions=", ".join(f"{name} {m['version']}" for name, m in members.items()),
            overrides=f"With `{' '.join(typed)}`. " if (typed := result["overrides"]) else "",
            python=platform.python_version(),
            cores=process.cores(),
            system=f"{platform.system()} {platform.machine()}",
        )
    ]
    for group in dict.fromkeys(row["group"] for row in rows):
        lines += [f"## {group}", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        lines += [_markdown_row(row) for row in rows if row["group"] == group]
        lines.append("")
    return "\n".join(lines)


def summary_line(result: Mapping[str, Any]) -> str:
    """How many options agree, and where the table is."""
    rows = result["rows"]
    alone, without_data = (sum(bool(row[key]) for row in rows) for key in ("only", "needs"))
    compared = len(rows) - alone - without_data
    more = f", {alone} for one backend alone" if alone else ""
    more += f", {without_data} for data of your own" if without_data else ""
    agree = compared - len(result["beyond"])
    return f"{agree} of {compared} options agree{more}: {result['output']}"


def row_line(row: Mapping[str, Any]) -> str:
    """One row for the log."""
    if row["only"]:
        return f"for {row['only']} alone"
    if row["needs"]:
        return f"needs {row['needs']}, or data.path=FILE"
    if row["error"]:
        return f"failed: {row['error']}"
    steps = row["result"]["steps"]
    word = "within" if row["within"] else "beyond"
    return f"{_largest(steps):.1e}, {word} {steps['tolerance']:.0e} in {steps['gated']} steps"


def _markdown_row(row: Mapping[str, Any]) -> str:
    option = f"`{row['option']}`"
    if row["result"] is None:
        return f"| {option} | {row_line(row).replace('|', '/')} | | | |"
    return f"| {' | '.join([option, *_cells(row['result'])])} |"


def _cells(result: Mapping[str, Any]) -> Iterator[str]:
    steps, final = result["steps"], result["metrics"]["final"]
    yield _number(_largest(result["predictions"]), result["predictions"]["beyond"])
    limit = f"{steps['tolerance']:.0e} in {steps['gated']}"
    yield f"{_number(_largest(steps), steps['beyond'])} ({limit})"
    yield _number(_worst(e["difference"] for e in steps["largest"].values()), ())
    names = [name for name, entry in final.items() if entry["beyond"]]
    yield _number(_worst(_largest(entry) for entry in final.values()), names)


def _largest(entry: Mapping[str, Any]) -> float:
    return _worst(entry["differences"].values())


def _worst(differences: Any) -> float:
    """The largest difference; one that is not finite is None in the result."""
    return max((float("inf") if d is None else d for d in differences), default=0.0)


def _number(difference: float, beyond: Sequence[str]) -> str:
    text = f"{difference:.1e}" if difference else "0"
    return f"**{text}**" if beyond else text

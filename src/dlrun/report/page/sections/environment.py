"""Where a run was made: machine, versions, git; and its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlrun.report.page import formats
from dlrun.report.page.markup import Content, element, join
from dlrun.report.page.parts import Section, details, facts, note, table
from dlrun.report.page.reading import list_at, mapping_at, text_at
from dlrun.report.page.run_view import RunView
from dlrun.runs import query
from dlrun.system.override_text import split_override

MOST_KEYS = 600


def environment(record: Mapping[str, Any]) -> Section:
    """Versions, machine and the state of the working directory."""
    commit = text_at(record, "git", "commit")
    dirty = {"true": "with uncommitted changes", "false": "without changes"}
    state = dirty.get(text_at(record, "git", "dirty"), "")
    versions = mapping_at(record, "versions")
    parts: list[Content] = [
        facts(
            [
                ("host", formats.cut(text_at(record, "host"))),
                ("cores", text_at(record, "cores")),
                ("device", formats.cut(text_at(record, "device"))),
                ("precision", formats.cut(text_at(record, "precision"))),
                ("matmul precision", formats.cut(text_at(record, "matmul_precision"))),
                ("seed", text_at(record, "seed")),
                ("git commit", formats.cut(f"{commit} {state}".strip()) if commit else "no git"),
                ("project", formats.cut(text_at(record, "project"))),
            ]
        )
    ]
    if versions:
        rows = [[formats.cut(name), formats.cut(query.text(v))] for name, v in versions.items()]
        parts.append(table("Versions", ["package", "version"], rows[:100], class_="compact"))
    else:
        parts.append(note("run.json names no versions."))
    return Section("environment", "Environment", join(parts))


def config(run: RunView) -> Section:
    """Each key of the resolved config, and whether it was typed."""
    typed = {split_override(str(o))[0] for o in list_at(run.record, "overrides")}
    typed = {key.lstrip("+~") for key in typed}
    flat = list(query.flat(run.config))
    rows = [
        [
            element("code", formats.cut(key)),
            formats.cut(query.text(v)),
            "typed" if _is_typed(key, typed) else "",
        ]
        for key, v in flat[:MOST_KEYS]
    ]
    if not rows:
        return Section("config", "Config", note("run.json holds no config."))
    whole = table(
        "The resolved config", ["key", "value", "override"], rows, sortable=True, class_="compact"
    )
    more = len(flat) - MOST_KEYS
    left_out = note(f"{more} more keys are in config.yaml.") if more > 0 else None
    return Section("config", "Config", join([details(f"All {len(flat)} keys", whole), left_out]))


def _is_typed(key: str, typed: set[str]) -> bool:
    parts = key.split(".")
    if parts[0] == "choices":
        return ".".join(parts[1:]) in typed
    return any(".".join(parts[:end]) in typed for end in range(2, len(parts) + 1)) or key in typed

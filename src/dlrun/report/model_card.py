"""The model card of an exported file: what it is, takes and returns, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.errors import list_names
from dlrun.exports.content import Content
from dlrun.report.export import check_rows

CLASSES = 100  # that are listed


def model_card(content: Content, result: Mapping[str, Any]) -> str:
    """A README in Markdown, with the header that model hubs read.

    Args:
        content: Of the file.
        result: Of the export.
    """
    record = content.record
    title = _cell(record.get("model") or "model")
    lines = [
        "---",
        f"license: {_cell(content.license or 'unknown')}",
        f"library_name: {content.format}",
        "tags: [dlrun, keras]",
        "---",
        "",
        f"# {title}, {content.format}" + (f", {content.quantize}" if content.quantize else ""),
        "",
        f"Task {_cell(record.get('task'))} on the data set {_cell(record.get('data'))}, trained"
        f" with dlrun on {_cell(record.get('backend'))}; weights of epoch {content.epoch}.",
        "",
        "## Inputs, in order",
        "",
        *_markdown([["name", "shape", "type", "preprocessing inside"], *_inputs(content)]),
        "",
        _before(content),
        "",
        "## Outputs, in order",
        "",
        *_markdown([["name", "shape", "activation", "classes"], *_outputs(content)]),
        "",
        "## Metrics",
        "",
        *_markdown([["split", "metric", "value"], *_metrics(record)]),
        "",
        "## Compared with the run",
        "",
        f"In {result['runtime']}, with {result['compared_with']}, on {result['samples']:,} samples."
        " The difference is the largest one, of probabilities as it is, else as a share of the"
        " largest value.",
        "",
        *_markdown(check_rows(result["checks"])),
        *(f"\nNote: {_cell(note)}." for note in result["notes"]),
        "",
        "## Data",
        "",
        *_markdown([["split", "fingerprint"], *_pairs(record.get("data_fingerprint"))]),
        "",
        "## Versions",
        "",
        *_markdown([["package", "version"], *_pairs(record.get("versions"))]),
        "",
    ]
    return "\n".join(lines)


def _inputs(content: Content) -> list[list[str]]:
    rows = []
    for one in content.inputs:
        inside = f"divided by {one.scale:g}" if one.scale is not None else ""
        inside = "standardized" if one.statistics is not None else inside
        rows.append([one.name, f"(batch{_shape(one.shape)})", one.dtype, inside])
    return rows


def _before(content: Content) -> str:
    steps = [type(step).__name__ for step in content.steps_before]
    if not steps:
        return "No other preprocessing is needed."
    return (
        f"Before that, samples go through {', '.join(steps)}, whose fitted values are in the JSON"
        " beside this file: `dlrun predict FILE --input ...` applies them."
    )


def _outputs(content: Content) -> list[list[str]]:
    rows = []
    for one in content.outputs:
        classes = list(one.get("classes") or ())
        shape = f"(batch{_shape(one['shape'])})"
        row = [one["name"], shape, str(one.get("activation") or "none")]
        rows.append([*row, list_names([str(name) for name in classes], CLASSES)])
    return rows


def _metrics(record: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for split in ("validation", "test"):
        found = record.get(split)
        for name, value in (found if isinstance(found, Mapping) else {}).items():
            rows.append([split, name, f"{value:.6g}" if isinstance(value, float) else str(value)])
    return rows


def _pairs(mapping: Any) -> list[list[str]]:
    return [[str(k), str(v)] for k, v in mapping.items()] if isinstance(mapping, Mapping) else []


def _shape(shape: Sequence[Any]) -> str:
    return "".join(f", {size}" for size in shape)


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = ([_cell(cell) for cell in row] for row in rows)
    rule = ["---"] * len(head)
    return [f"| {' | '.join(row)} |" for row in (head, rule, *body)]


def _cell(value: Any) -> str:
    """A value from a run, with nothing that Markdown or HTML takes for its own."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    for character in "\\`*_[]<>|#":
        text = text.replace(
            character, f"\\{character}" if character not in "<>" else f"&#{ord(character)};"
        )
    return text

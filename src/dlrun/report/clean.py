"""What may be removed, as a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.report.cells import plain, size_text
from dlrun.report.tables import table

MOST_ROWS = 40


def clean_table(result: Mapping[str, Any]) -> str:
    """A line for each item, and how much there is of each kind."""
    items = result["items"]
    if not items:
        return f"nothing to remove in {plain(result['runs_dir'])}"
    folded = _fold(items)
    shown = sorted(folded, key=lambda item: -int(item["bytes"]))[:MOST_ROWS]
    rows = [[size_text(i["bytes"]), plain(i["path"]), plain(str(i["why"])[:100])] for i in shown]
    sizes: Counter[str] = Counter()
    for item in items:
        sizes[item["kind"]] += item["bytes"]
    counts = Counter(item["kind"] for item in items)
    kinds = ", ".join(f"{counts[kind]} {kind} ({size_text(sizes[kind])})" for kind in counts)
    left = [f"and {len(folded) - MOST_ROWS} more"] if len(folded) > MOST_ROWS else []
    total = f"{kinds}; {size_text(result['bytes'])} in all"
    ending = f"removed {total}" if result["deleted"] else f"{total}; --yes removes them"
    return "\n".join([table([["size", "path", "why"], *rows]), *left, "", ending])


def _fold(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries of a cache as one item."""
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        is_cache = item["kind"] == "caches"
        place = f"{item['path'].rpartition('/')[0]}/*" if is_cache else item["path"]
        known = found.get(place)
        if known is None:
            found[place] = dict(item)  # a single one is named itself
        else:
            known |= {"path": place, "bytes": known["bytes"] + item["bytes"]}
    return list(found.values())

"""What a run was resumed with, from its record."""

from collections.abc import Mapping
from typing import Any

from dlrun.system.override_text import split_override


def resumed_with(record: Mapping[str, Any]) -> list[str]:
    """The overrides that a run was resumed with, the last of each key; none if it just went on.

    They make it a run of another setting than the one that it was started with.

    Args:
        record: Of a ``run.json``, which may be copied from an untrusted source.
    """
    resumed = record.get("resumed")
    found: dict[str, str] = {}
    for entry in resumed if isinstance(resumed, list) else ():
        overrides = entry.get("overrides") if isinstance(entry, Mapping) else None
        for override in overrides if isinstance(overrides, list) else ():
            if isinstance(override, str):
                found[split_override(override)[0]] = override
    return list(found.values())

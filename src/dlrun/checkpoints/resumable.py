"""What ``state.json`` of a checkpoint must hold for a run to go on from it.

Its hash in the manifest tells of damage, and not of who wrote it, or with which version.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dlrun.checkpoints.store import Position

# Of Keras' callbacks, what they decide by; each has some of it.
COUNTERS = (
    "wait",
    "best",
    "best_epoch",
    "stopped_epoch",
    "cooldown_counter",
    "_ema_weights_in_model",
)


def check_resumable(state: Any, at: Position, targets: Mapping[str, str]) -> None:
    """Check that a run can go on from a checkpoint's state.

    Args:
        state: As it was read.
        at: How far training had come.
        targets: The ``_target_`` of each callback by its name.

    Raises:
        ValueError: If it can't, with what is wrong.
    """
    if not isinstance(state, dict):
        raise ValueError("its state is no mapping")
    problem = next(_problems(state, at, targets), None)
    if problem is not None:
        raise ValueError(f"its {problem}")


def _problems(state: dict[str, Any], at: Position, targets: Mapping[str, str]) -> Iterator[str]:
    history, best, callbacks = (state.get(key) for key in ("history", "best", "callbacks"))
    if not isinstance(history, list) or len(history) != at.epochs:
        yield f"history is no list of {at.epochs} epochs"
    else:
        for number, row in enumerate(history, 1):
            if not _numbers(row) or row.get("epoch") != number:
                yield f"history is not what epoch {number} logged, but {_shown(row)}"
    if best is not None and not (
        _numbers(best) and "value" in best and best.get("epoch") in range(1, at.epochs + 1)
    ):
        yield f"best epoch is none of {at.epochs}: {_shown(best)}"
    if not isinstance(state.get("stopped"), bool):
        yield f"stopped is neither true nor false but {_shown(state.get('stopped'))}"
    described = state.get("architecture", [])  # which the first checkpoints did not have
    if not isinstance(described, list) or not all(_layer(part) for part in described):
        yield "architecture is no list of layers"
    if not isinstance(callbacks, dict):
        yield "callbacks are no mapping"
        return
    for name, kept in callbacks.items():
        if not isinstance(kept, dict):
            yield f"callbacks.{name} is no mapping"
            continue
        target = targets.get(name, "")
        counters = {key: kept[key] for key in COUNTERS if key in kept}
        if target.startswith("keras.") and not _numbers(counters):
            yield f"callbacks.{name} holds what is no number: {_shown(counters)}"
        if target == "dlrun.callbacks.csv.CSV" and not _rows(kept.get("rows")):
            yield f"callbacks.{name}.rows are no list of mappings"


def _numbers(mapping: Any) -> bool:
    return isinstance(mapping, dict) and all(isinstance(v, int | float) for v in mapping.values())


def _rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _layer(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    if "class" in part:
        return isinstance(part["class"], str) and isinstance(part.get("config"), dict)
    return isinstance(part.get("optimizer", ""), str)


def _shown(value: Any) -> str:
    return ascii(value)[:80]

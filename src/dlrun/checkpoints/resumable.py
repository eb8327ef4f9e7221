"""Check that a run can resume from a checkpoint's ``state.json``.

Its hash in the manifest detects damage, but not who wrote the file, or with which version.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dlrun.checkpoints.store import Position

# Attributes that hold the state of Keras' callbacks; each callback has some of them.
COUNTERS = (
    "wait",
    "best",
    "best_epoch",
    "stopped_epoch",
    "cooldown_counter",
    "_ema_weights_in_model",
)


def check_resumable(state: Any, at: Position, targets: Mapping[str, str]) -> None:
    """Check that a run can resume from a checkpoint's state.

    Args:
        state: The content of ``state.json``.
        at: The checkpoint's position in training.
        targets: The ``_target_`` of each callback by its name.

    Raises:
        ValueError: If the run can't resume; says what is wrong.
    """
    if not isinstance(state, dict):
        raise ValueError("its state is not a mapping")
    problem = next(_problems(state, at, targets), None)
    if problem is not None:
        raise ValueError(f"its {problem}")


def _problems(state: dict[str, Any], at: Position, targets: Mapping[str, str]) -> Iterator[str]:
    history, best, callbacks = (state.get(key) for key in ("history", "best", "callbacks"))
    if not isinstance(history, list) or len(history) != at.epochs:
        yield f"history is not a list of {at.epochs} epochs"
    else:
        for number, row in enumerate(history, 1):
            if not _has_numbers(row) or row.get("epoch") != number:
                yield f"history has {_shorten(row)} for epoch {number}"
    if best is not None and not (
        _has_numbers(best) and "value" in best and best.get("epoch") in range(1, at.epochs + 1)
    ):
        yield f"best epoch is not from 1 to {at.epochs}: {_shorten(best)}"
    if not isinstance(state.get("stopped"), bool):
        yield f"stopped is neither true nor false but {_shorten(state.get('stopped'))}"
    layers = state.get("architecture", [])  # missing in checkpoints of the first version
    if not isinstance(layers, list) or not all(_is_layer(layer) for layer in layers):
        yield "architecture is not a list of layers"
    if not isinstance(callbacks, dict):
        yield "callbacks are not a mapping"
        return
    for name, saved in callbacks.items():
        if not isinstance(saved, dict):
            yield f"callbacks.{name} is not a mapping"
            continue
        target = targets.get(name, "")
        counters = {key: saved[key] for key in COUNTERS if key in saved}
        if target.startswith("keras.") and not _has_numbers(counters):
            yield f"callbacks.{name} has a value that is not a number: {_shorten(counters)}"
        if target == "dlrun.callbacks.csv.CSV" and not _are_rows(saved.get("rows")):
            yield f"callbacks.{name}.rows is not a list of mappings"


def _has_numbers(mapping: Any) -> bool:
    return isinstance(mapping, dict) and all(isinstance(v, int | float) for v in mapping.values())


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _is_layer(layer: Any) -> bool:
    if not isinstance(layer, dict):
        return False
    if "class" in layer:
        return isinstance(layer["class"], str) and isinstance(layer.get("config"), dict)
    return isinstance(layer.get("optimizer", ""), str)


def _shorten(value: Any) -> str:
    return ascii(value)[:80]

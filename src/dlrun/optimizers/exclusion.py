"""Exclude weights from weight decay by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from dlrun.errors import DlrunError, list_names
from dlrun.losses.loss_scale import inner_optimizer

KEY = "optimizer.exclude_from_weight_decay"
SHOWN = 6  # paths in a message


def exclude_weights(
    optimizer: keras.optimizers.Optimizer, spec: Mapping[str, Any], variables: Sequence[Any]
) -> None:
    """Exclude the weights that an optimizer's config names.

    Args:
        optimizer: Not built yet.
        spec: Its config. A name is made of whole parts of a path, as ``bias``, ``head`` or
            ``head/kernel``.
        variables: The model's trainable variables.

    Raises:
        DlrunError: If a name matches no weight, or no weight decays.
    """
    names = spec.get("exclude_from_weight_decay") or []
    if not names:
        return
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise DlrunError(f"{KEY}: expected a list, got {names!r:.60}", hint=f"{KEY}=[bias]")
    if str(spec["_target_"]).startswith(("torch.", "optax.")):
        raise DlrunError(
            f"{KEY} is for optimizers of Keras, not for {spec['_target_']}",
            hint="choose optimizer=adamw",
        )
    optimizer = inner_optimizer(optimizer)
    decays = ("weight_decay", "adam_weight_decay")
    if not any(getattr(optimizer, decay, None) for decay in decays):
        raise DlrunError(
            f"{KEY}: no weight decays: optimizer.weight_decay is null",
            hint="optimizer.weight_decay=0.004",
        )
    excluded = []
    for name in names:
        matching = [v for v in variables if f"/{name.strip('/')}/" in f"/{v.path}/"]
        if not matching:
            paths = list_names([v.path for v in variables], SHOWN)
            raise DlrunError(
                f"{KEY}: no weight has {name!r:.80} in its path",
                hint=f"use whole names from {paths}",
            )
        excluded += matching
    optimizer.exclude_from_weight_decay(var_list=excluded)

"""Samples drawn at random, to try a file on where no data can be read."""

from __future__ import annotations

import math

import numpy as np

from dlrun.exports.content import Content


def random_samples(content: Content, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Samples drawn at random, as the file takes them: what to try where no data can be read.

    Args:
        content: Of the file.
        count: How many.
        seed: Of the draw.
    """
    draw = np.random.default_rng(seed)
    found = {}
    for one in content.inputs:
        shape = (count, *one.shape)
        if one.is_integer:
            below = 2 if one.scale is None else min(int(one.scale) + 1, np.iinfo(one.dtype).max)
            values: np.ndarray = draw.integers(0, one.below or below, shape)
        else:
            values = draw.normal(size=shape)
            if one.statistics is not None:
                flat = values.reshape(count, math.prod(one.shape))
                values = (flat * one.statistics.deviation + one.statistics.mean).reshape(shape)
        found[one.name] = values.astype(one.dtype)
    return found

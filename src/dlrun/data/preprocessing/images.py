"""Image files as inputs of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.images.decode import BACKGROUNDS, BrokenImageError, decode
from dlrun.data.images.decode_all import each
from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError

RESIZE = ("stretch", "fit_pad", "crop")
MAX_SIDE = 16_384
BITS = range(8, 17)


def parse_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width in pixels, from what a config says: both, or one number.

    Raises:
        DlrunError: If they are not two integers from 1 to :data:`MAX_SIDE`.
    """
    sides = list(size) if isinstance(size, Sequence) else [size, size]
    if len(sides) != 2 or not all(type(side) is int and 0 < side <= MAX_SIDE for side in sides):
        raise DlrunError(
            f"data.size={size}: expected height and width in pixels, at most {MAX_SIDE:,}",
            hint="data.size=[96,128]",
        )
    return sides[0], sides[1]


@dataclass(frozen=True)
class Images:
    """Decode each file, and bring it to one size; see :mod:`dlrun.data.images.decode`.

    Args:
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for colour.
        resize: ``stretch``, ``fit_pad`` (whole, with bars of the background) or ``crop`` (filled,
            cut off evenly on both sides).
        background: What is behind transparent pixels, and beside a padded image: white or black.
        bits: How many bits the values of 16-bit grey images have, of which the upper 8 are kept.
    """

    height: int
    width: int
    channels: int
    resize: str = "stretch"
    background: str = "white"
    bits: int = 16

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image."""
        return self.height, self.width, self.channels

    def apply(self, inputs: Arrays) -> Arrays:
        """The images, ``(samples, height, width, channels)`` uint8.

        Args:
            inputs: Paths of files, ``(samples,)`` of texts; or images in the model's form already,
                as numbers, which are returned as they are.

        Raises:
            ValueError: If a file can't be decoded, or images have another form.
        """
        if isinstance(inputs, Mapping):
            raise ValueError("expected images, not arrays by name")
        if inputs.dtype.kind in "biuf":
            if inputs.shape[1:] != self.shape:
                raise ValueError(
                    f"an image has the shape {inputs.shape[1:]}, expected {self.shape}"
                )
            return inputs
        paths = [Path(path) for path in inputs.tolist()]
        images = np.empty((len(paths), *self.shape), np.uint8)
        for row, image in enumerate(each(lambda path: decode(path, self), paths, "images decoded")):
            if isinstance(image, BrokenImageError):
                raise image
            images[row] = image
        return images

    def state(self) -> dict[str, Any]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Images:
        """See :class:`dlrun.data.preprocessing.Step`."""
        state = {"bits": 16, **state}  # of runs before there was a choice
        if set(state) != {"height", "width", "channels", "resize", "background", "bits"}:
            raise ValueError("images needs height, width, channels, resize, background and bits")
        for side in ("height", "width"):
            value = state[side]
            if type(value) is not int or not 0 < value <= MAX_SIDE:
                raise ValueError(f"images has the {side} {value!a:.80}")
        if type(state["channels"]) is not int or state["channels"] not in (1, 3):
            raise ValueError("images has 1 or 3 channels")
        if type(state["bits"]) is not int or state["bits"] not in BITS:
            raise ValueError(f"images has {state['bits']!a:.80} bits")
        if state["resize"] not in RESIZE or state["background"] not in [*BACKGROUNDS]:
            raise ValueError(f"images has resize {state['resize']!a:.80}")
        return cls(**state)

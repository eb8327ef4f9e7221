"""Decode one image file into the form that a model takes.

The order is fixed: a JPEG is decoded at the smallest of 1/1, 1/2, 1/4 and 1/8 of its size that is
not below the size wanted (``Image.draft``); its EXIF orientation is applied; transparent pixels are
put on the background; it is cut to 8 bits and made grey or colour; it is resized with Pillow's
bilinear filter, which averages all pixels when it shrinks. So the result is a function of the file
and the form, on every machine with the same Pillow.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dlrun.data.preprocessing.images import Images

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")  # none of those runs another program
ORIENTATION = 0x0112  # the EXIF tag; from 5 on, width and height are exchanged
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")
BACKGROUNDS = {"white": 255, "black": 0}


class BrokenImageError(ValueError):
    """A file that is not an image, or is damaged.

    Args:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} can't be decoded: {reason}")


class Header(NamedTuple):
    """What an image says of itself before it is decoded.

    Args:
        height: In pixels, as it is shown.
        width: In pixels, as it is shown.
        is_grey: Whether it is stored without colours.
        is_deep: Whether it is stored in more than 8 bits, and its bits count; Pillow keeps the
            upper 8 of colours.
    """

    height: int
    width: int
    is_grey: bool
    is_deep: bool


def read_header(path: Path) -> Header:
    """The header of an image file.

    Raises:
        BrokenImageError: If it has none.
    """
    from PIL import Image

    try:
        with _open(path) as image:
            width, height = image.size
            # As the class of all formats reads it: that of PNG would decode the image.
            if _orientation(Image.Image.getexif(image)) >= 5:
                width, height = height, width
            return Header(height, width, _is_grey(image), _is_deep(image))
    except _errors() as error:
        raise _broken(path, error) from error


def highest_value(path: Path) -> int:
    """The highest value of an image that is deep.

    Raises:
        BrokenImageError: If it is damaged.
    """
    try:
        with _open(path) as image:
            return int(np.asarray(image).max())
    except _errors() as error:
        raise _broken(path, error) from error


def decode(path: Path, form: Images, content: bytes | None = None) -> np.ndarray:
    """Decode an image file.

    Args:
        path: The file.
        form: The size, the channels, and how to get there.
        content: Of the file, if it is in memory; ``path`` is its name in messages then.

    Returns:
        Shape ``(height, width, channels)``, uint8.

    Raises:
        BrokenImageError: If it is not an image, or is damaged.
    """
    try:
        with _open(path if content is None else io.BytesIO(content)) as opened:
            picture = _pixels(opened, form)
    except _errors() as error:
        raise _broken(path, error, content) from error
    array = np.asarray(picture)
    return array[:, :, None] if array.ndim == 2 else array


def _open(path: Path | io.BytesIO) -> Any:
    from PIL import Image, WebPImagePlugin  # noqa: F401 - Pillow does not load it by itself

    return Image.open(path, formats=FORMATS)


def _pixels(image: Any, form: Images) -> Any:
    from PIL import Image, ImageOps

    size = form.width, form.height
    orientation = _orientation(image.getexif())
    turned = orientation >= 5
    if image.format in ("JPEG", "MPO"):
        width, height = _resized_size(image.size[::-1] if turned else image.size, size, form.resize)
        image.draft(None, (height, width) if turned else (width, height))
    image.load()  # while the file is open
    upright = image if orientation == 1 else ImageOps.exif_transpose(image)
    shade = BACKGROUNDS[form.background]
    eight = _eight_bits(upright, form.bits) if _is_deep(upright) else upright
    flat = _flat(eight, shade, "L" if form.channels == 1 else "RGB")
    bilinear = Image.Resampling.BILINEAR
    if flat.size == size:
        return flat
    if form.resize == "crop":
        return ImageOps.fit(flat, size, method=bilinear)
    if form.resize == "fit_pad":
        color = shade if form.channels == 1 else (shade, shade, shade)
        return ImageOps.pad(flat, size, method=bilinear, color=color)
    return flat.resize(size, bilinear)


def _resized_size(has: tuple[int, int], size: tuple[int, int], resize: str) -> tuple[int, int]:
    """The size that an image is resized to, before it is cropped or padded."""
    if resize == "stretch":
        return size
    choose = max if resize == "crop" else min
    scale = choose(size[0] / has[0], size[1] / has[1])
    return max(round(has[0] * scale), 1), max(round(has[1] * scale), 1)


def _eight_bits(image: Any, bits: int) -> Any:
    """An image of the upper 8 of its bits; Pillow would cut off what is above 255."""
    from PIL import Image

    array = np.asarray(image).astype(np.int64)
    if (high := int(array.max())) >= 2**bits:
        raise ValueError(f"its highest value is {high:,}, and data.bits={bits} has no such one")
    return Image.fromarray((array >> (bits - 8)).astype(np.uint8))


def _flat(image: Any, shade: int, mode: str) -> Any:
    """The image without transparency, in ``L`` or ``RGB``."""
    from PIL import Image

    if image.has_transparency_data:
        pixels = image.convert("RGBA")
        ground = Image.new("RGBA", pixels.size, (shade, shade, shade, 255))
        image = Image.alpha_composite(ground, pixels)
    return image if image.mode == mode else image.convert(mode)


def _orientation(exif: Any) -> int:
    value = exif.get(ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _is_deep(image: Any) -> bool:
    return str(image.mode).startswith("I")


def _is_grey(image: Any) -> bool:
    if image.mode != "P":
        return image.mode in GREY
    palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _errors() -> tuple[type[Exception], ...]:
    """What Pillow raises for files that are not images, or are damaged."""
    from PIL import Image

    return (
        OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError, struct.error,
        OverflowError, Image.DecompressionBombError,
    )  # fmt: skip


def _broken(path: Path, error: Exception, content: bytes | None = None) -> BrokenImageError:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        size = path.stat().st_size if content is None else len(content)
        reason = "it is no image" if size else "it is empty"
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
    else:
        reason = (str(error).splitlines() or [type(error).__name__])[0].lower()
    return BrokenImageError(path, reason)

"""Small images as data URIs. PNG needs no package: it is zlib with a header."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from dlrun.report.page.markup import Markup, element

LARGEST = 96  # pixels of a side


def image(pixels: np.ndarray, text: str) -> Markup:
    """An image.

    Args:
        pixels: ``(height, width, 1 or 3)`` uint8; a larger one is made smaller.
        text: What it shows.
    """
    small = _reduce(pixels)
    height, width = small.shape[:2]
    uri = f"data:image/png;base64,{base64.b64encode(png(small)).decode()}"
    # Small ones are enlarged, by whole factors.
    factor = max(1, 64 // max(height, width))
    # Not loading="lazy": a picture of the whole page has no image that was not scrolled to.
    return element("img", src=uri, alt=text, width=width * factor, height=height * factor)


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of ``(height, width, 1 or 3)`` uint8."""
    height, width, channels = pixels.shape
    kind = {1: 0, 3: 2}[channels]
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # a row begins with its filter, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _reduce(pixels: np.ndarray) -> np.ndarray:
    """The means of square blocks, so that no side is longer than :data:`LARGEST`."""
    factor = -(-max(pixels.shape[:2]) // LARGEST)
    if factor == 1:
        return pixels
    height, width = (max(1, side // factor) for side in pixels.shape[:2])
    # A side shorter than a block, as of a line of pixels, is one block.
    tall, wide = (min(factor, side) for side in pixels.shape[:2])
    blocks = pixels[: height * tall, : width * wide].reshape(height, tall, width, wide, -1)
    reduced: np.ndarray = np.round(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return reduced

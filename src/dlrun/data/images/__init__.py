"""Image files: found in folders or named by a table, decoded by Pillow, once for all runs."""

from pathlib import Path

# First frames of animations.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def is_image(path: Path | str) -> bool:
    """Whether a file is an image by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES

"""Image files: found in folders or named by a table, decoded by Pillow, once for all runs."""

from pathlib import Path

from dlrun.errors import DlrunError

# First frames of animations.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def is_image(path: Path | str) -> bool:
    """Whether a file is an image by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def find_images(source: Path) -> list[Path]:
    """The images that a user names: a file, all of a folder and those below it, or a pattern.

    Returns:
        Sorted by path; a file is taken whatever its suffix.

    Raises:
        DlrunError: If there are none.
    """
    if source.is_file():
        return [source]
    if source.is_dir():
        found = sorted(path for path in source.rglob("*") if is_image(path) and path.is_file())
        problem = "has no images"
    else:
        start = Path(source.anchor)
        pattern = str(source.relative_to(start)) if source.anchor else str(source)
        found = sorted(path for path in start.glob(pattern) if path.is_file())
        problem = "no such file or folder"
    if not found:
        raise DlrunError(f"--input {source}: {problem}", hint=f"one of {', '.join(SUFFIXES)}")
    return found

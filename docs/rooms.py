"""Draws the rooms of dlrun, a floor a line, from the import contract in ``pyproject.toml``."""

import tomllib
from pathlib import Path

WIDTH, LEFT, HEIGHT, GAP = 740, 10, 30, 8
BOX = 'rx="5" fill="#e8eef7" stroke="#4a6fa5"'


def rooms_svg(pyproject: Path) -> str:
    """The picture as SVG.

    Args:
        pyproject: The file with the contract, whose layers are the floors from the top down.
    """
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    bottom = LEFT + len(floors) * (HEIGHT + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {bottom + 4}" role="img"'
        ' aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        '<title id="t">The rooms of dlrun</title>',
        f'<desc id="d">One floor a line, from {floors[0]} at the top to {floors[-1]} at the bottom.'
        " A room imports only from floors below its own.</desc>",
    ]
    for number, floor in enumerate(floors):
        rooms, y = [room.strip() for room in floor.split("|")], LEFT + number * (HEIGHT + GAP)
        width = (WIDTH - GAP * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            x = LEFT + place * (width + GAP)
            lines.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{HEIGHT}" {BOX}/>')
            lines.append(
                f'<text x="{x + width / 2:.1f}" y="{y + 20}" text-anchor="middle"'
                f' fill="#1c2b45">{room}</text>'
            )
    lines += [
        f'<line x1="778" y1="14" x2="778" y2="{bottom - 16}" stroke="#4a6fa5" stroke-width="2"/>',
        f'<polygon points="772,{bottom - 18} 784,{bottom - 18} 778,{bottom - 6}" fill="#4a6fa5"/>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"

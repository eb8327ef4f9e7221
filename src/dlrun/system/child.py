"""How a process of dlrun's starts another Python."""

import sys


def python_command(module: str, *arguments: str) -> list[str]:
    """A command that runs a module in a Python of its own.

    ``-P`` keeps the working directory off its path, where a user's ``csv.py`` or ``queue.py`` would
    hide Python's own; the user's modules are found by whoever reads the config that names them.

    Args:
        module: As for ``python -m``.
        arguments: The module's.
    """
    return [sys.executable, "-P", "-m", module, *arguments]

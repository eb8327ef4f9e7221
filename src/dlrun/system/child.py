"""Start another Python process."""

import sys


def python_command(module: str, *arguments: str) -> list[str]:
    """A command that runs a module in a new Python process.

    ``-P`` keeps the working directory off ``sys.path``, where a user's ``csv.py`` or ``queue.py``
    would shadow the standard library. Reading a config adds the directory of the user's modules.

    Args:
        module: As for ``python -m``.
        arguments: The module's arguments.
    """
    return [sys.executable, "-P", "-m", module, *arguments]

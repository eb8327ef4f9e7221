"""Optional packages: whether one is installed, and how to install it."""

import importlib.util

from dlrun.errors import DlrunError


def require_package(package: str, asker: str, extra: str) -> None:
    """Check that an optional package is installed, without importing it.

    Args:
        package: The package, such as ``pyarrow``.
        asker: What needs it: an option, a callback, a kind of file.
        extra: The extra of dlrun that installs it.

    Raises:
        DlrunError: If it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise DlrunError(
            f"{asker} needs {package}, which is not installed", hint=f"pip install 'dlrun[{extra}]'"
        )


def require_matplotlib(asker: str) -> None:
    """As :func:`require_package`, of what plots."""
    require_package("matplotlib", asker, "plots")

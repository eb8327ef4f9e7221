"""Whether a host can be reached."""

from __future__ import annotations

import socket
from urllib.request import getproxies

from dlrun.errors import DlrunError


def require_network(host: str) -> None:
    """Refuse without a network within seconds; a package that downloads would try for minutes.

    Args:
        host: That a download begins with. A proxy may reach what this machine can't: with one,
            nothing is checked.

    Raises:
        DlrunError: If it can't be reached.
    """
    if getproxies():
        return
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError as error:
        raise DlrunError(
            f"data.download=true: {host} can't be reached: {error.strerror or error}",
            hint="leave data.download out to read the cache alone",
            exit_code=1,
        ) from error

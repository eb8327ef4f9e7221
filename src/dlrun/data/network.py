"""Whether a host can be reached."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from dlrun.errors import DlrunError

SECONDS = 5


def require_network(host: str) -> None:
    """Refuse without a network within seconds; a package that downloads would try for minutes.

    Args:
        host: That a download begins with; by the proxy of the environment, if there is one.

    Raises:
        DlrunError: If it can't be reached.
    """
    proxies = {} if proxy_bypass(host) else getproxies()
    proxy = urlsplit(proxies.get("https") or proxies.get("all") or "")
    if proxy.scheme not in ("", "http"):
        return  # another kind of proxy, such as SOCKS
    try:
        if proxy.hostname:
            _connect_by_proxy(proxy.hostname, proxy.port or 80, host)
        else:
            socket.create_connection((host, 443), timeout=SECONDS).close()
    except (OSError, HTTPException, ValueError) as error:
        by = f" by the proxy {proxy.hostname}" if proxy.hostname else ""
        raise DlrunError(
            f"data.download=true: {host} can't be reached{by}: "
            f"{getattr(error, 'strerror', None) or error}",
            hint="leave data.download out to read the cache alone",
            exit_code=1,
        ) from error


def _connect_by_proxy(proxy: str, port: int, host: str) -> None:
    """Let a proxy open a connection, and close it; one that wants a password is there too."""
    with ExitStack() as stack:

        def response(*args: Any, **kwargs: Any) -> HTTPResponse:  # Python 3.11.2 leaves it open
            return stack.enter_context(closing(HTTPResponse(*args, **kwargs)))

        connection = stack.enter_context(closing(HTTPConnection(proxy, port, timeout=SECONDS)))
        connection.response_class = response  # type: ignore[assignment]
        connection.set_tunnel(host, 443)
        try:
            connection.connect()
        except OSError as error:
            if "407" not in str(error):
                raise

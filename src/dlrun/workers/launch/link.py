"""The connections between the machines of a launched run: one JSON object a line."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from typing import Any

from dlrun.errors import DlrunError

BEAT_SECONDS = 2.0
LOST_SECONDS = 20.0  # without a beat
MOST = 1 << 20  # bytes of a line


class Link:
    """A connection to another machine.

    Args:
        connection: The connected socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.number: int | None = None  # of its machine, once it has told
        self.host = ""
        self._text = b""
        self._closed = False
        self._heard = self._sent = time.monotonic()

    def fileno(self) -> int:
        """For ``select``."""
        return self.socket.fileno()

    def send(self, **message: Any) -> None:
        """Send a message; :meth:`why_lost` reports a lost connection."""
        self._sent = time.monotonic()
        try:
            self.socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._closed = True

    def beat(self) -> None:
        """Show that this machine is there, every two seconds."""
        if time.monotonic() - self._sent > BEAT_SECONDS:
            self.send(beat=True)

    def read(self) -> list[dict[str, Any]]:
        """The messages that have come; call it once ``select`` says that there are some.

        What is not from dlrun closes the connection.
        """
        try:
            chunk = self.socket.recv(65536)
        except OSError:
            chunk = b""
        if not chunk:
            self._closed = True
        self._heard = time.monotonic()
        *lines, self._text = (self._text + chunk).split(b"\n")
        messages = []
        for line in lines:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                self._closed = True
                break
            messages.append(message)
        self._closed |= len(self._text) > MOST
        return messages

    def why_lost(self) -> str | None:
        """Why nothing comes any more; None while it is connected."""
        if self._closed:
            return "the connection was closed"
        if time.monotonic() - self._heard > LOST_SECONDS:
            return f"no sign of it for {LOST_SECONDS:.0f} s"
        return None

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self.socket.close()


def listen(host: str, port: int, who: str) -> socket.socket:
    """Listen on this address alone.

    Raises:
        DlrunError: If the machine has no such address, or the port is taken.
    """
    try:
        family = socket.getaddrinfo(host, port)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise DlrunError(
            f"{who} can't listen on {host}:{port}: {os.strerror(error.errno or 0)}",
            hint="--master is an address of node 0, with a free port",
        ) from None

"""A file for the processes of one machine, where none of them has started the others.

The first hands it on over a Unix socket, of Linux' abstract names: nothing of it is in a folder.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import sys
import threading
import time

from dlrun.errors import DlrunError
from dlrun.system.shared_object import POLL_SECONDS, open_shared_file

CREDENTIALS = struct.Struct("3i")  # process, user, group


def pass_file(name: str, number: int, count: int, *, seconds: float) -> int | None:
    """A descriptor of one file, the same for all; None where there is no way to hand it on.

    Args:
        name: The same for these processes, and for no others of this machine.
        number: This process' number among them, from 0.
        count: How many processes there are.
        seconds: How long to wait for the first of them.

    Raises:
        DlrunError: If the first does not come.
    """
    if sys.platform != "linux" or count == 1:
        return None
    address = b"\0dlrun-" + hashlib.sha256(f"{os.getuid()} {name}".encode()).hexdigest().encode()
    try:
        return _take(address, seconds) if number else _offer(address, count - 1, seconds)
    except OSError:  # a container may forbid it, or another user has the name
        return None


def _offer(address: bytes, others: int, seconds: float) -> int:
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(address)
        server.listen(others)
        server.settimeout(seconds)
    except OSError:
        server.close()
        raise
    file = open_shared_file()
    threading.Thread(target=_serve, args=(server, file, others), daemon=True).start()
    return file


def _serve(server: socket.socket, file: int, others: int) -> None:
    with server:
        while others:
            try:
                connection, _ = server.accept()
                with connection:
                    if _is_of_this_user(connection):
                        socket.send_fds(connection, [b"\0"], [file])
                        others -= 1
            except TimeoutError:
                return
            except OSError:  # the other has ended
                continue


def _take(address: bytes, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(seconds)
            try:
                sock.connect(address)
            except ConnectionRefusedError:  # the first has not come yet
                time.sleep(POLL_SECONDS)
                continue
            # What it writes there is unpickled.
            if not _is_of_this_user(sock):
                return None
            _, files, _, _ = socket.recv_fds(sock, 1, 1)
            return files[0] if files else None
    raise DlrunError(
        f"the first process of this machine has not come within {seconds:.0f} s", exit_code=1
    )


def _is_of_this_user(connection: socket.socket) -> bool:
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return bool(CREDENTIALS.unpack(told)[1] == os.getuid())

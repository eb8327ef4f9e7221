"""A real S3 server in a process of its own, and a connection to it that is slow or lost."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

BUCKET = "lab"
CHUNK = 16384


class Server:
    """The server, with a bucket.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def environment(self, home: Path, port: int | None = None) -> dict[str, str]:
        """What a machine with working copies of its own has in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "DLRUN_REMOTE": str(home),
        }

    def client(self):
        """A client of another make than the one that dlrun uses."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
        )

    def files(self, prefix: str = "") -> dict[str, bytes]:
        """Every object whose key begins so, by its key."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


@contextmanager
def serve(place: Path) -> Iterator[Server]:
    """Start the server, and make the bucket; it ends with the block."""
    port = free_port()
    with (place / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("moto_server")), "-p", str(port)],
            stdout=log,
            stderr=log,
            cwd=place,
        )
    try:
        url, until = f"http://127.0.0.1:{port}/{BUCKET}", time.monotonic() + 60
        headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/x/us-east-1/s3/aws4"}
        while True:
            try:
                urlopen(Request(url, method="PUT", headers=headers), timeout=10).close()
                break
            except HTTPError:
                raise
            except (URLError, OSError):
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.1)
        yield Server(port)
    finally:
        process.kill()
        process.wait()


class Connection:
    """A port that leads to the server: at a limited speed, or nowhere.

    Args:
        port: The server's.
        bytes_per_second: Of what is sent to it; None for no limit.
    """

    def __init__(self, port: int, bytes_per_second: float | None = None) -> None:
        self.limit = bytes_per_second
        self.is_lost = False
        self._target = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self) -> None:
        """Cut it, in the middle of what is sent."""
        self.is_lost = True
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Let it lead to the server again."""
        self.is_lost = False

    def close(self) -> None:
        """End it."""
        self.lose()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_lost:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for source, target, limit in ((near, far, True), (far, near, False)):
                    threading.Thread(
                        target=self._copy, args=(source, target, limit), daemon=True
                    ).start()

    def _copy(self, source: socket.socket, target: socket.socket, is_limited: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                target.sendall(data)
                if is_limited and self.limit:
                    time.sleep(len(data) / self.limit)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def environment(server: Server, home: Path, port: int | None = None) -> dict[str, str]:
    """As :meth:`Server.environment`, with all that this process has."""
    return {**os.environ, **server.environment(home, port)}

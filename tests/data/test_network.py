"""Without a network, a download is refused within seconds, behind a proxy too."""

import gc
import socket
import threading

import pytest

from dlrun.data import network
from dlrun.errors import DlrunError


@pytest.fixture
def proxy(monkeypatch):
    """Let a server on this machine be the proxy; it answers with what the test puts into it."""
    answers: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    open_ones = []

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            open_ones.append(connection)
            if answers:
                connection.recv(1024)
                connection.sendall(answers[0])

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setattr(network, "SECONDS", 0.5)
    monkeypatch.setenv("https_proxy", f"http://user:secret@127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    yield answers
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for connection in open_ones:
        connection.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(None, "timed out"), (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"), (b"?\r\n", "")],
)
def test_a_proxy_that_does_not_reach_the_host(proxy, answer, reason):
    proxy += [answer] if answer else []
    with pytest.raises(
        DlrunError, match=f"data.example can't be reached by the proxy.*{reason}"
    ) as e:
        network.require_network("data.example")
    assert "secret" not in e.value.message
    assert "leave data.download out" in e.value.hint


@pytest.mark.parametrize("status", [b"200 OK", b"407 Proxy Authentication Required"])
def test_a_proxy_that_is_there(proxy, status):
    proxy.append(b"HTTP/1.1 " + status + b"\r\n\r\n")
    network.require_network("data.example")
    gc.collect()  # a socket that is left open would be warned of here


def test_a_host_that_does_not_exist(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(DlrunError, match=r"nowhere\.invalid can't be reached: "):
        network.require_network("nowhere.invalid")

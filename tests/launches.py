"""Launchers of a run, one for each machine, all of them this one."""

import socket
import subprocess
import sys


def free_port():
    """A port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def start_launchers(cwd, *words, nodes=2, options=()):
    """Start the launchers of a run, which begin with node 0, as processes."""
    port, launchers = free_port(), []
    for node in range(nodes):
        command = [sys.executable, "-m", "dlrun", "launch", *options]
        if nodes > 1:
            command += ["--nodes", str(nodes), "--node-rank", str(node)]
            command += ["--master", f"127.0.0.1:{port}"]
        launchers.append(
            subprocess.Popen(
                [*command, "--", *words],
                cwd=cwd,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    return launchers

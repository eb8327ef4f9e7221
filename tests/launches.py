"""Launchers of a run, one for each machine, all of them this one; and what they leave behind."""

import socket
import subprocess
import sys
from pathlib import Path


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


def working_in(directory, variable=""):
    """The processes that work in a directory, or those of them with a variable ``NAME=value``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                variables = (process / "environ").read_text().split("\0")
                found += [int(process.name)] if not variable or variable in variables else []
        except OSError:
            continue
    return found


def slurm_nodes():
    """How many nodes the Slurm of this machine has; 0 without one."""
    try:
        asked = subprocess.run(["sinfo", "-h", "-o", "%D"], capture_output=True, check=False)
    except OSError:
        return 0
    return int(asked.stdout or 0) if asked.returncode == 0 else 0

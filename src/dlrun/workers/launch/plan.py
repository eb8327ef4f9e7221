"""What ``dlrun launch`` is asked to start, and what is wrong with it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from platform import node
from typing import Any

from dlrun import __version__
from dlrun.errors import DlrunError

COMMANDS = ("train", "resume")
# What needs no launcher, with what to type.
ALONE = "needs one process, and on jax takes distribution=data_parallel device.count=2"
OTHERS = {
    "evaluate": f"dlrun evaluate RUN {ALONE}",
    "predict": f"dlrun predict RUN {ALONE}",
    "parity": "dlrun parity --devices 1,2 starts its processes: on torch one for each device",
    "sweep": "dlrun sweep gives each run device.count devices; --launcher places runs elsewhere",
}
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Plan:
    """The processes of a run on one or several machines.

    Args:
        nodes: The number of machines.
        per_node: Processes of each.
        node: Which of them this one is, from 0.
        host: Where node 0 listens.
        port: Its port; 0 on a single machine, which needs none.
        restarts: How often to resume a run after a process was lost.
        timeout: Seconds to wait for the other machines.
        words: The command line of each process, without ``dlrun``.
        engine: The options of the engine that places the machines, as typed; empty if none does.
    """

    nodes: int
    per_node: int
    node: int
    host: str
    port: int
    restarts: int
    timeout: float
    words: tuple[str, ...]
    engine: str = ""

    @property
    def count(self) -> int:
        """The number of processes."""
        return self.nodes * self.per_node

    @property
    def resume(self) -> str:
        """The command that resumes the run, on each machine if there are several."""
        nodes = "" if self.nodes == 1 else f" --nodes {self.nodes} ..."
        if self.engine:
            nodes = f" {self.engine}"
        return f"dlrun launch{nodes} --per-node {self.per_node} -- resume"

    def ranks_of(self, number: int) -> range:
        """The ranks of a machine."""
        return range(number * self.per_node, (number + 1) * self.per_node)

    def hello(self) -> dict[str, Any]:
        """What one machine tells node 0; all but the first two has to be equal."""
        return {
            "node": self.node,
            "host": node(),
            "--nodes": self.nodes,
            "--per-node": self.per_node,
            "--restarts": self.restarts,
            "dlrun": __version__,
            "command": " ".join(self.words),
        }


def make_plan(
    words: Sequence[str], *, nodes: int, per_node: int, restarts: int, timeout: float
) -> Plan:
    """Check the options, and give each process its number of devices; node 0 of one machine.

    Raises:
        DlrunError: If they do not fit together.
    """
    if not words or words[0] not in COMMANDS:
        given = f"dlrun {words[0]}" if words else "nothing"
        raise DlrunError(
            f"dlrun launch starts dlrun train or resume, got {given}",
            hint=OTHERS.get(
                words[0] if words else "",
                "dlrun launch --per-node 2 -- train backend=torch distribution=data_parallel",
            ),
        )
    count = nodes * per_node
    typed = [word for word in words if word.startswith("device.count=")]
    if typed and typed[-1] != f"device.count={count}":
        raise DlrunError(
            f"{typed[-1]}: --nodes {nodes} --per-node {per_node} starts {count} processes",
            hint=f"leave out device.count, or device.count={count}",
        )
    all_words = (*words, *([] if typed else [f"device.count={count}"]))
    return Plan(nodes, per_node, 0, LOOPBACK, 0, restarts, timeout, all_words)


def place_plan(plan: Plan, *, node_rank: int | None, master: str | None) -> Plan:
    """The plan of one of the machines.

    Raises:
        DlrunError: If it can't be one of them, or has no way to the others.
    """
    if plan.nodes == 1 and (master or node_rank):
        raise DlrunError(
            "--master, --node-rank and SLURM_NODEID go with --nodes",
            hint="add --nodes, the number of machines, or leave them out",
        )
    if plan.nodes > 1 and (master is None or node_rank is None):
        missing = "--master HOST:PORT" if master is None else "--node-rank"
        raise DlrunError(
            f"--nodes {plan.nodes}: {missing} is missing",
            hint="--master is where node 0 listens, the same for all; --node-rank is 0, 1, ...",
        )
    if not 0 <= (node_rank or 0) < plan.nodes:
        raise DlrunError(
            f"--node-rank {node_rank}: --nodes {plan.nodes} has"
            f" {', '.join(map(str, range(plan.nodes)[:8]))}" + (", ..." if plan.nodes > 8 else "")
        )
    host, port = _address(master) if master else (LOOPBACK, 0)
    return replace(plan, node=node_rank or 0, host=host, port=port)


def _address(master: str) -> tuple[str, int]:
    """Host and port.

    Raises:
        DlrunError: If it is no address.
    """
    host, _, port = master.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise DlrunError(
            f"--master {master}: expected HOST:PORT", hint=f"--master {LOOPBACK}:29500"
        )
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise DlrunError(f"--master {master}: {error.strerror}", hint="use an IP address") from None
    return str(found[0][4][0]), int(port)


def differing(one: str, other: str) -> tuple[str, str]:
    """The words of two texts that only one of them has."""
    words, others = one.split(), other.split()
    only = " ".join(word for word in words if word not in others)
    return only or "fewer words", " ".join(w for w in others if w not in words) or "not"


def interface_of(address: str) -> str | None:
    """The name of the network interface that has an IPv4 address; None if it can't be told."""
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _, name in socket.if_nameindex():
                try:
                    asked = fcntl.ioctl(sock.fileno(), 0x8915, name.encode()[:15].ljust(256, b"\0"))
                except OSError:  # it has none
                    continue
                if socket.inet_ntoa(asked[20:24]) == address:
                    return name
    except (ImportError, OSError):
        return None
    return "lo" if address.startswith("127.") else None

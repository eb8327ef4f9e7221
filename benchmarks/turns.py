"""Programs that take turns, an epoch each: what slows the machine for a while slows all of them.

A program is given one end of a socket, by its number in ``TURN``. It says when its first epoch,
in which it compiles, is over, and after each epoch that it is told to run.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REST = 0.3  # seconds for the threads of the program before to go to sleep


def turn():
    """The program's end; ``next(turn)`` says that an epoch is over and waits for the next one."""
    with socket.socket(fileno=int(os.environ["TURN"])) as end:
        while True:
            end.sendall(b".")
            end.recv(1)
            yield


def cpu_seconds(process):
    """The processor's time that a process has taken: other programs hardly change it."""
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def take_turns(commands, epochs, cwd, clock=lambda process: time.perf_counter()):
    """Run programs, an epoch of each in turn; the seconds of each, by its name.

    Half of the epochs come from programs that start in reverse order: of equal ones, the first to
    start took 0.85 to 1.25 times as long as the last, all along.
    """
    half = -(-epochs // 2)
    forth = in_order(commands, half, cwd, clock)
    back = in_order(dict(reversed(commands.items())), epochs - half, cwd, clock)
    return {name: [*forth[name], *back[name]] for name in commands}


def in_order(commands, epochs, cwd, clock):
    """As :func:`take_turns`, of programs that start in this order."""
    running, ends, seconds = {}, {}, {name: [] for name in commands}
    with tempfile.TemporaryFile() as told:
        for name, command in commands.items():
            ends[name], theirs = socket.socketpair()
            env = {**os.environ, "KERAS_HOME": str(cwd), "TURN": str(theirs.fileno())}
            env["PYTHONPATH"] = str(Path(__file__).parent)
            running[name] = subprocess.Popen(
                command, cwd=cwd, env=env, pass_fds=[theirs.fileno()], stdout=told, stderr=told
            )
            theirs.close()
            wait(ends[name], told)
        for _ in range(epochs):
            for name, end in ends.items():
                time.sleep(REST)
                began = clock(running[name].pid)
                end.sendall(b".")
                wait(end, told)
                seconds[name].append(clock(running[name].pid) - began)
    for program in running.values():
        program.kill()
        program.wait()
    return seconds


def wait(end, told):
    if not end.recv(1):
        told.seek(0)
        sys.exit(told.read().decode())

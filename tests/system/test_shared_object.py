"""An object that one of several processes makes, and all of them have in memory once."""

import json
import os
import subprocess
import sys

import pytest

from dlrun.errors import DlrunError
from dlrun.system.passed_file import pass_file
from dlrun.system.shared_object import open_shared_file

SCRIPT = """
import json, sys, threading, time
from pathlib import Path

import numpy as np

from dlrun.system.shared_object import SharedObject

file, number, count, way = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if file < 0:
    from dlrun.system.passed_file import pass_file

    time.sleep(0.2 * (2 - number))
    file = pass_file(f"test {-file}", number, count, seconds=30)
made = []

def make():
    made.append(True)
    if way == "fails":
        raise ValueError("no such file")
    if way == "lambda" and number:
        time.sleep(0.5)
    big = np.arange(2**23, dtype=np.float64)
    return {"big": big, "end": big[-3:], "odd": (lambda: 0) if way == "lambda" else "x"}

def own():  # not the pages of a file, which count as private while no other process maps them
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

before, started = own(), time.monotonic()
try:
    shared = SharedObject(file, number, count)
    value = shared.get(make, is_shared=lambda value: way != "mapped", is_alone=lambda: False)
except ValueError as error:
    print(json.dumps({"made": len(made), "error": str(error)}))
    sys.exit()
total = float(value["big"].sum())
grown = own() - before
value["big"][0] = number + 5  # is seen here alone
print("there", flush=True)
sys.stdin.read()
print(json.dumps({
    "made": len(made), "sum": total, "end": value["end"].tolist(), "grown_kb": grown,
    "first": float(value["big"][0]), "seconds": time.monotonic() - started,
}))
"""


def in_three_processes(way):
    """What three processes tell of an object of 64 MiB."""
    file = -os.getpid() if way == "passed" else open_shared_file()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(file), str(number), "3", way],
            pass_fds=[file] if file >= 0 else [],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    if file >= 0:
        os.close(file)
    first = [process.stdout.readline() for process in started]
    outs = [process.communicate(timeout=60)[0] for process in started]
    return [json.loads(out or line) for out, line in zip(outs, first, strict=True)]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the memory of a process")
@pytest.mark.parametrize("way", ["shared", "passed"])
def test_one_makes_it_and_none_of_the_others_holds_a_copy(way):
    told = in_three_processes(way)
    assert [each["made"] for each in told] == [1, 0, 0]
    assert {each["sum"] for each in told} == {sum(range(2**23))}
    assert {tuple(each["end"]) for each in told} == {(2**23 - 3, 2**23 - 2, 2**23 - 1)}
    assert [each["first"] for each in told] == [5, 6, 7]
    assert max(each["grown_kb"] for each in told) < 16 * 1024  # of 65,536


@pytest.mark.parametrize("way", ["lambda", "mapped"])
def test_what_is_not_shared_each_makes_and_the_first_waits_for_the_others(way):
    told = in_three_processes(way)
    assert [each["made"] for each in told] == [1, 1, 1]
    assert {each["sum"] for each in told} == {sum(range(2**23))}
    assert way == "mapped" or told[0]["seconds"] > 0.5


def test_what_one_fails_to_make_the_others_fail_to_make_too():
    assert in_three_processes("fails") == [{"made": 1, "error": "no such file"}] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="the file is passed on Linux alone")
def test_a_file_that_nobody_passes_is_waited_for_no_longer_than_said():
    with pytest.raises(DlrunError, match="has not come within 0 s"):
        pass_file(f"nobody {os.getpid()}", 1, 2, seconds=0.1)
    assert pass_file("alone", 0, 1, seconds=0.1) is None

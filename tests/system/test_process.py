"""The start time, memory and cores of a process, measured in child processes."""

import json
import os
import platform
import subprocess
import sys
import time

import pytest

MB = 1_000_000


def measure(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is when the module was imported")
def test_the_start_time_is_that_of_the_process_not_of_the_call() -> None:
    before = time.time()
    began = measure(
        "import time; time.sleep(0.4)\n"
        "from dlrun.system.process import started_at; print(started_at())"
    )
    assert before - 0.1 <= began <= before + 0.3


def test_the_time_of_a_shell_before_exec_does_not_count() -> None:
    code = (
        "import time; from dlrun.system.process import started_at;"
        " print(time.time() - started_at())"
    )
    script = f"sleep 3.5; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 3


def test_the_peak_memory_is_measured() -> None:
    used = measure(
        "held = b'x' * 200_000_000; del held\n"
        "from dlrun.system.process import peak_memory_bytes; print(peak_memory_bytes())"
    )
    assert 200 * MB < used < 300 * MB


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's record of the process")
def test_the_peak_memory_is_not_that_of_the_parent() -> None:
    child = "from dlrun.system.process import peak_memory_bytes; print(peak_memory_bytes())"
    used = measure(
        "import subprocess, sys; held = b'x' * 200_000_000\n"
        f"print(subprocess.check_output([sys.executable, '-c', {child!r}], text=True))"
    )
    assert 1 * MB < used < 100 * MB


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores can't be taken away here")
def test_only_usable_cores_are_counted() -> None:
    count = "from dlrun.system.process import cores; print(cores())"
    assert measure(count) == len(os.sched_getaffinity(0))
    first = min(os.sched_getaffinity(0))
    assert measure(f"import os; os.sched_setaffinity(0, {{{first}}}); {count}") == 1


KEEPING = """
import json, resource, sys, threading
from dlrun import backends
from dlrun.system import process
backends.prepare(sys.argv[1])
import numpy as np

def step():
    np.ones(50_000_000, "uint8")

def cleared():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=lambda: [step() for _ in range(20)])
    thread.start()
    thread.join()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * 4096

result = {"cleared": cleared(), "held": process.memory_bytes()}
process.give_back_memory()
print(json.dumps(result | {"left": process.memory_bytes()}))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of other libraries we know nothing")
@pytest.mark.parametrize(
    ("backend", "variable", "kept"),
    [("jax", "", True), ("jax", "MALLOC_ARENA_MAX", False), ("torch", "", False)],
)
def test_freed_memory_is_kept_only_for_xla(backend, variable, kept):
    env = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}  # so that pages can be counted
    env |= {variable: "4"} if variable else {}
    words = [sys.executable, "-c", KEEPING, backend]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert (result["cleared"] < 200e6) == kept  # of a billion bytes
    assert result["left"] < result["held"] - 40e6 or not kept

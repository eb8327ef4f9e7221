"""Which backend and device a process gets, for real."""

import sys

import pytest


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_device_that_is_not_there_is_refused_with_those_that_are(dlrun, backend):
    done = dlrun("train", f"backend={backend}", "device=gpu", "smoke=true")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"error: device 'gpu' is not there: backend '{backend}' has cpu:0",
        "",
        "hint: choose device=cpu, or device=auto",
    ]
    assert not (dlrun.cwd / "runs").exists()


def test_numbered_device_that_is_not_there_is_refused(dlrun):
    done = dlrun("train", "device=cpu:7", "smoke=true")
    assert done.returncode == 2
    assert "error: device 'cpu:7' is not there: backend 'jax' has cpu:0" in done.stderr


def test_chosen_device_is_recorded(dlrun):
    result = dlrun.json("train", "device=cpu:0", "smoke=true")
    assert dlrun.record(dlrun.path(result))["device"] == "cpu:0"


def test_numpy_does_not_train(dlrun):
    done, imported = dlrun.traced("train", "backend=numpy", "smoke=true")
    assert done.returncode == 2
    assert "error: backend 'numpy' can't train" in done.stderr
    assert "hint: choose backend=" in done.stderr
    assert not imported & {"keras", "jax"}
    assert not (dlrun.cwd / "runs").exists()


def test_backend_of_the_environment_does_not_win(dlrun):
    result = dlrun.json("train", "backend=jax", "smoke=true", env={"KERAS_BACKEND": "torch"})
    record = dlrun.record(dlrun.path(result))
    assert (result["backend"], record["backend"]) == ("jax", "jax")
    assert "jax" in record["versions"]
    assert "torch" not in record["versions"]


def test_second_backend_in_one_process_is_refused(dlrun):
    script = """
from dlrun import backends
from dlrun.errors import DlrunError

settings = dict(kind="cpu", index=None, precision="float32", seed=0)
backends.start("jax", **settings)
backends.start("jax", **settings)
try:
    backends.start("tensorflow", **settings)
except DlrunError as error:
    print(error.message)
"""
    done = dlrun("-c", script, command=[sys.executable])
    assert done.stdout == "this process has Keras on 'jax', not on 'tensorflow'\n", done.stderr


# jax's library asks for NumPy while it starts. Were another thread in the middle of importing
# NumPy, for the data set, then both imports would fail: here that thread is made to be there.
SLOW_NUMPY = """
import builtins, threading, time
from dlrun.cli import main

plain = builtins.__import__

def slow(name, globals=None, *rest, **named):
    in_numpy = (globals or {}).get("__name__") == "numpy"
    if in_numpy and threading.current_thread() is not threading.main_thread():
        builtins.__import__ = plain
        time.sleep(1.5)
    return plain(name, globals, *rest, **named)

builtins.__import__ = slow
main()
"""


def test_data_set_and_framework_do_not_import_numpy_at_once(dlrun):
    done = dlrun("train", "smoke=true", command=[sys.executable, "-c", SLOW_NUMPY])
    assert done.returncode == 0, done.stderr

"""What native libraries write to stdout."""

import os
import subprocess
import sys

import pytest

from dlrun.system.native_output import silent_stdout, stdout_on_stderr

CONTEXTS = [(silent_stdout, ""), (stdout_on_stderr, "within\n")]
# Its stdout is a pipe, so that Python keeps what is printed for later.
PRINTS = """
from dlrun.system.native_output import {name}
print("before")
with {name}():
    print("within")
print("after")
"""


@pytest.mark.parametrize(("context", "told"), CONTEXTS)
def test_stdout_has_results_alone(context, told, capfd):
    print("before")
    with context():
        os.write(1, b"within\n")
    print("after")
    sys.stdout.flush()
    assert capfd.readouterr() == ("before\nafter\n", told)


@pytest.mark.parametrize(("context", "told"), CONTEXTS)
def test_what_is_printed_goes_the_same_way(context, told):
    code = PRINTS.format(name=context.__name__)
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("before\nafter\n", told)

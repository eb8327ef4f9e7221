"""What native libraries write to stdout."""

import os
import sys

import pytest

from dlrun.system.native_output import silent_stdout, stdout_on_stderr


@pytest.mark.parametrize(("context", "told"), [(silent_stdout, ""), (stdout_on_stderr, "native\n")])
def test_stdout_has_results_alone(context, told, capfd):
    print("before")
    with context():
        os.write(1, b"native\n")
    print("after")
    sys.stdout.flush()
    assert capfd.readouterr() == ("before\nafter\n", told)

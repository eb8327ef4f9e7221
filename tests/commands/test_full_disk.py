"""A full disk: one line, exit code 1, and nothing half-written, whatever writes."""

import json
import sys

import pytest

from conftest import COMMAND, needs_namespace
from tables import write_all

MOUNT = "mount -t tmpfs -o size=1M tmpfs small; cat /dev/zero > small/fill 2>/dev/null; "
TABLE = ["data", "data=csv", "data.path=houses.csv", "data.target=kind"]
# In one process, of which most of the time goes into imports.
EACH = """
import json, os, sys
from pathlib import Path
import numpy as np
from typer.testing import CliRunner
from dlrun.cli import app
from dlrun.data.files.spool import Spool
from dlrun.errors import DlrunError
from dlrun.evaluation.table import Table
from dlrun.runs.directory import create_run, plan_run_path

def command(*words):
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stderr

def spool():
    with Spool() as arrays:
        arrays.add(np.zeros(100_000))

def told(function):
    try:
        function()
    except DlrunError as error:
        return error.exit_code, error.message
    except OSError as error:
        return 1, f"{error.filename}: {error.strerror}"

found = {}
table = json.loads(sys.argv[1])
found["small/houses.yaml"] = command(*table, "--save", "small/houses.yaml")
found["small/houses.png"] = command(*table, "--plot", "small/houses.png")
found["small/project"] = command("new", "small/project")
os.environ["DLRUN_CACHE"] = "small/cache"
found["data cache small/cache"] = command(*table)
found["cache small/cache "] = told(spool)
found["run directory small/runs/mlp"] = told(
    lambda: create_run(plan_run_path(Path("small/runs"), "mlp"), {}, {"config.yaml": "a"})
)
found["small/table.csv"] = told(lambda: Table(["a"], [[1]]).write(Path("small/table.csv")))
print(json.dumps(found))
"""


@needs_namespace
def test_what_writes_says_that_the_disk_is_full_and_leaves_nothing(dlrun):
    write_all(dlrun.cwd)
    (dlrun.cwd / "small").mkdir()
    script = MOUNT + "$0 -c \"$1\" \"$2\"; find small -type f -name '[!.]*' ! -name '*.lock'"
    words = ["unshare", "-rm", "bash", "-c", script, sys.executable, EACH, json.dumps(TABLE)]
    done = dlrun(command=words)
    found, *left = done.stdout.splitlines()
    assert left == ["small/fill"], done.stdout
    for place, (code, message) in json.loads(found).items():
        assert (code, "Traceback" in message) == (1, False), message
        assert place in message and "No space left on device" in message, message


@pytest.mark.slow
@needs_namespace
def test_an_export_says_that_the_disk_is_full_and_leaves_nothing(dlrun, trained):
    (dlrun.cwd / "small").mkdir()
    trained.copy("jax", dlrun.cwd)
    script = "mount -t tmpfs -o size=32M tmpfs small; cp -r runs small; run=$(echo small/runs/*/*)"
    script += "; cat /dev/zero > small/fill 2>/dev/null; $0 export $run --format keras; echo $?"
    script += "; $0 export $run --format keras --output small/m.keras; echo $?; ls small $run"
    done = dlrun(command=["unshare", "-rm", "bash", "-c", script, COMMAND])
    assert done.stdout.splitlines()[:4] == ["1", "1", "small:", "fill"], done.stderr
    assert "exports" not in done.stdout
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2, done.stderr
    for error, name in zip(errors, ("exports/keras/model.keras", "small/m.keras"), strict=True):
        assert error.startswith("error: can't write ") and name in error
        assert error.endswith("No space left on device")

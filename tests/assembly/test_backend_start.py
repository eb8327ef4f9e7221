"""The backend and the data set of a run."""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from conftest import FRAMEWORKS, slow

# A backend that takes a second to start, as on a slow disk.
SLOW_START = """
import sys, time
from dlrun import backends
from dlrun.cli import app

start = backends.start

def slow(*arguments, **options):
    time.sleep(1)
    return start(*arguments, **options)

backends.start = slow
app(sys.argv[1:])
"""
OWN = """
import keras
import numpy as np
from dlrun.data.dataset import Split, split_off

def mine(*, validation_samples=20, limit=None):
    inputs = np.asarray(keras.ops.zeros((60, 4)))
    labels = np.arange(60) % 2
    return split_off(inputs, labels, Split(inputs, labels), validation_samples=validation_samples,
                     limit=limit, num_classes=2)

def model(*, input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(num_classes)])
"""


@pytest.mark.trains
@pytest.mark.parametrize("backend", ["torch", slow("jax")])
def test_a_data_module_that_imports_keras_gets_the_configs_backend(dlrun, backend):
    (dlrun.cwd / "my_parts.py").write_text(OWN, encoding="utf-8")
    for group, name in (("data", "mine"), ("model", "model")):
        (dlrun.cwd / "configs" / group).mkdir(parents=True)
        option = dlrun.cwd / "configs" / group / "mine.yaml"
        option.write_text(f"_target_: my_parts.{name}\n", encoding="utf-8")
    words = ("train", f"backend={backend}", "data=mine", "model=mine", "epochs=1")
    done = dlrun(*words, command=[sys.executable, "-c", SLOW_START])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", ["jsonl", "npz"])
def test_wrong_values_are_told_before_a_framework_is_imported(dlrun, source):
    if source == "npz":
        x, y = np.ones((20, 4), "float32"), np.arange(20) % 2
        x[17, 2] = np.nan
        np.savez(dlrun.cwd / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        words = ["data.num_classes=2", "data.validation_samples=5"]
        message = "x_train[17, 2] is nan"
    else:
        days = [{"day": f"2026-01-{1 + n % 28:02}", "y": n % 2} for n in range(40)]
        days[30]["day"] = "the fifth"
        (dlrun.cwd / "mine.jsonl").write_text("\n".join(map(json.dumps, days)))
        words, message = ["data.target=y", "+data.columns.day=date"], "row 31: 'the fifth' is not"
    path = f"data.path=mine.{source}"
    done, imported = dlrun.traced("train", f"data={source}", path, *words)
    assert (done.returncode, imported & FRAMEWORKS) == (2, set())
    error, hint = filter(None, done.stderr.splitlines())
    assert message in error
    assert hint.startswith("hint: ")


ALLOCATOR = """
import json, resource, sys
import numpy as np
from dlrun.assembly import start
from dlrun.config.compose import compose

getattr(start, sys.argv[1])(compose(["backend=jax", "data.limit=64"]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(50_000_000, "uint8")
print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * 4096))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries are left alone")
@pytest.mark.parametrize("start", ["start", "start_backend"])
def test_each_command_that_starts_jax_keeps_freed_memory_as_a_run_does(start, tmp_path):
    # Without, `summary --memory` told of a convnet two thirds of what its run takes.
    env = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}  # so that pages can be counted
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATOR, start],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) < 200e6  # pages cleared anew, of a billion bytes

"""The backend and the data set of a run."""

import sys

import pytest

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
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_data_module_that_imports_keras_gets_the_configs_backend(dlrun, backend):
    (dlrun.cwd / "my_parts.py").write_text(OWN, encoding="utf-8")
    for group, name in (("data", "mine"), ("model", "model")):
        (dlrun.cwd / "configs" / group).mkdir(parents=True)
        option = dlrun.cwd / "configs" / group / "mine.yaml"
        option.write_text(f"_target_: my_parts.{name}\n", encoding="utf-8")
    words = ("train", f"backend={backend}", "data=mine", "model=mine", "epochs=1")
    done = dlrun(*words, command=[sys.executable, "-c", SLOW_START])
    assert done.returncode == 0, done.stderr

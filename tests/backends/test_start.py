"""The backend and the device of a process."""

import sys

import pytest

import trainings
from conftest import slow_on


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_a_missing_device_is_refused_and_the_available_ones_are_listed(dlrun, backend):
    done = dlrun("train", f"backend={backend}", "device=gpu", "smoke=true")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"error: no device 'gpu': backend '{backend}' has cpu:0",
        "",
        "hint: choose device=cpu, or device=auto",
    ]
    assert not (dlrun.cwd / "runs").exists()


def test_a_missing_device_index_is_refused(dlrun):
    done = dlrun("train", "device=cpu:7", "smoke=true")
    assert done.returncode == 2
    assert "error: no device 'cpu:7': backend 'jax' has cpu:0" in done.stderr


def test_chosen_device_is_recorded(dlrun):
    result = dlrun.warm("jax", "train", "device=cpu:0", "smoke=true")
    assert dlrun.record(dlrun.path(result))["device"] == "cpu:0"


def test_numpy_does_not_train(dlrun):
    done, imported = dlrun.traced("train", "backend=numpy", "smoke=true")
    assert done.returncode == 2
    assert "error: backend 'numpy' can't train" in done.stderr
    assert "hint: choose backend=" in done.stderr
    assert not imported & {"keras", "jax"}
    assert not (dlrun.cwd / "runs").exists()


def test_a_run_imports_the_backend_of_its_config_alone(dlrun):
    words = ("train", "backend=jax", "smoke=true")
    done, imported = dlrun.traced(*words, env={"KERAS_BACKEND": "torch"})
    assert done.returncode == 0, done.stderr
    record = dlrun.record(dlrun.only_run())
    assert record["backend"] == "jax"
    assert "jax" in record["versions"]
    assert "torch" not in record["versions"]
    # Nor what a feed that was not chosen needs.
    assert not imported & {"pandas", "tensorflow", "torch"}


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
    assert done.stdout == "this process runs Keras on 'jax', not on 'tensorflow'\n", done.stderr


# jax imports NumPy while it starts. If another thread were importing NumPy at that moment, for the
# data set, both imports would fail. This script slows that thread down to provoke it.
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


def test_data_set_and_framework_do_not_import_numpy_concurrently(dlrun):
    done = dlrun("train", "smoke=true", command=[sys.executable, "-c", SLOW_NUMPY])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("backend", "framework", "unused"),
    [
        ("jax", "jax.numpy", {"jax.experimental.pallas", "scipy"}),
        ("torch", "torch.nn", {"sympy", "torch._dynamo.eval_frame", "torch.distributions.normal"}),
        (
            "tensorflow",
            "tensorflow._api.v2.nn",
            {"scipy", "tensorflow._api.v2.compat.v1.nn", "tensorflow.python.tpu.tpu_embedding_v3"},
        ),
    ],
)
def test_what_is_imported_in_case_it_is_called_is_not_run(dlrun, backend, framework, unused):
    done, imported = dlrun.traced("train", f"backend={backend}", "smoke=true")
    assert done.returncode == 0
    assert framework in imported
    # Of IPython and requests.
    assert not imported & {"h5py._errors", "traitlets", "urllib3", *unused}


def test_processes_of_torch_meet_without_its_compiler(dlrun):
    words = ["backend=torch", "distribution=data_parallel", "device.count=2", "smoke=true"]
    done, imported = dlrun.traced("train", *words)
    assert done.returncode == 0
    assert "torch.distributed.distributed_c10d" in imported
    assert not imported & {"sympy", "torch._dynamo.eval_frame"}


USES = {
    "jax": """
from keras.src.backend.jax import nn
mask = nn.splash_attention_mask.CausalMask((4, 4))
found["values"] = [int(mask[0:4, 0:4].sum()), nn.splash_attention_kernel.SegmentIds._fields]
""",
    "tensorflow": """
import tensorflow as tf
decay = tf.compat.v1.train.exponential_decay
cell = tf.nn.RNNCellDropoutWrapper
found["values"] = [
    float(decay(1.0, 2, 1, 0.5)()),
    int(tf.raw_ops.AddV2(x=1, y=2)),
    cell.__name__,
    hasattr(tf.lite, "TFLiteConverter") and hasattr(tf.tpu, "XLAOptions"),
]
""",
    "torch": """
import torch
from torch.export import Dim, export

program = export(torch.nn.Flatten(), (torch.zeros(3, 2, 2),), dynamic_shapes=({0: Dim("rows")},))
normal = torch.distributions.Normal(1.0, 2.0)
found["values"] = [list(program.module()(torch.ones(5, 2, 2)).shape), float(normal.mean)]
""",
}


@pytest.mark.parametrize(
    ("backend", "values"),
    [
        ("jax", [10, ["q", "kv"]]),
        ("tensorflow", [0.25, 3, "DropoutWrapper", True]),
        ("torch", [[5, 4], 1.0]),
    ],
)
def test_what_was_not_run_is_there_for_whoever_calls_it(tmp_path, backend, values):
    assert trainings.worker(backend).run(tmp_path, USES[backend])["values"] == values

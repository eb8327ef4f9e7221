"""The raw loop calls callbacks like ``fit``, and behaves like every other loop of dlrun."""

import json
import signal
import subprocess

import pytest

from conftest import COMMAND, slow_on
from trainings import Refused, worker

SMALL = ("model.units=16", "data.limit=1000")
# Without XLA, which compiles for seconds.
QUICK = {"tensorflow": ("loop.compile=graph",)}

CALLBACKS = """
import json, sys, time
import keras
import numpy as np

class Recorder(keras.callbacks.Callback):
    def __init__(self, path, stop_at=None):
        super().__init__()
        self.path, self.stop_at, self.seen = path, stop_at, []

    def on_train_end(self, logs=None):
        self.seen.append(["on_train_end", None, sorted(logs or {})])
        params = {name: self.params[name] for name in ("epochs", "steps")}
        open(self.path, "w").write(json.dumps({"seen": self.seen, "params": params}))

def _numbered(hook):
    def record(self, number, logs=None):
        self.seen.append([hook, number, sorted(logs or {})])
        if hook == "on_train_batch_end" and number == self.stop_at:
            self.model.stop_training = True
    return record

def _plain(hook):
    return lambda self, logs=None: self.seen.append([hook, None, sorted(logs or {})])

for hook in dir(keras.callbacks.Callback):
    # In Keras itself, the last two only call the hooks of train batches.
    if not hook.startswith("on_") or hook in ("on_train_end", "on_batch_begin", "on_batch_end"):
        continue
    numbered = "batch" in hook or "epoch" in hook
    setattr(Recorder, hook, (_numbered if numbered else _plain)(hook))

class Rate(keras.callbacks.Callback):
    def __init__(self, path, rate):
        super().__init__()
        self.path, self.rate = path, rate

    def on_train_begin(self, logs=None):
        self.before = self.model.get_weights()

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self.rate

    def on_train_end(self, logs=None):
        moved = [np.abs(a - b).max() for a, b in zip(self.before, self.model.get_weights())]
        open(self.path, "w").write(json.dumps(float(max(moved))))

class Sleeper(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (1, 3):
            print("asleep", file=sys.stderr, flush=True)
            time.sleep(1.5)
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "my_callbacks.py").write_text(CALLBACKS)
    (tmp_path / "configs" / "callbacks").mkdir(parents=True)
    for name, more in (
        ("recorder", "  path: seen.json\n  stop_at: null\n"),
        ("rate", "  path: moved.json\n  rate: 0.0\n"),
        ("sleeper", ""),
    ):
        text = f"{name}:\n  _target_: my_callbacks.{name.capitalize()}\n{more}"
        (tmp_path / "configs" / "callbacks" / f"{name}.yaml").write_text(text)
    return tmp_path


def recorded(place, backend, loop, *overrides):
    result = worker(backend).train(
        place, f"loop={loop}", "+callbacks=recorder", "epochs=2", *SMALL, *overrides
    )
    return result, json.loads((place / "seen.json").read_text())


@pytest.mark.parametrize("backend", slow_on("jax", of=("jax", "torch")))
def test_every_hook_fires_as_in_fit(place, backend):
    _, fit = recorded(place, backend, "fit")
    _, raw = recorded(place, backend, "raw")
    assert raw["params"] == fit["params"] == {"epochs": 2, "steps": 8}
    assert raw["seen"] == fit["seen"]
    batches = [number for hook, number, _ in raw["seen"] if hook == "on_train_batch_end"]
    assert batches == [*range(8), *range(8)]
    assert {hook for hook, *_ in raw["seen"]} == {
        f"on_{what}_{when}"
        for what in ("train", "epoch", "train_batch", "test", "test_batch")
        for when in ("begin", "end")
    }


@pytest.mark.parametrize("backend", slow_on("torch", of=("jax", "torch")))
def test_stop_training_ends_training_within_an_epoch(place, backend):
    _, fit = recorded(place, backend, "fit", "callbacks.recorder.stop_at=3")
    result, raw = recorded(place, backend, "raw", "callbacks.recorder.stop_at=3")
    assert [n for hook, n, _ in raw["seen"] if hook == "on_train_batch_end"] == [0, 1, 2, 3]
    assert (result["epochs"], result["stopped_by"]) == (1, "callback")
    train = [call for call in raw["seen"] if "test" not in call[0]]
    assert train == [call for call in fit["seen"] if "test" not in call[0]]


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_a_learning_rate_set_before_a_batch_is_used(place, backend):
    moved = {}
    for rate in (0.0, 0.01):
        overrides = (f"callbacks.rate.rate={rate}", "epochs=1", *SMALL)
        worker(backend).train(place, "loop=raw", "+callbacks=rate", *overrides)
        moved[rate] = json.loads((place / "moved.json").read_text())
    assert moved[0.0] == 0
    assert moved[0.01] > 0.01


class TestCallbacks:
    @pytest.mark.parametrize("backend", slow_on("jax", "torch"))
    def test_early_stopping(self, place, backend):
        result = worker(backend).train(
            place,
            "loop=raw",
            "callbacks.early_stopping.min_delta=100",
            "callbacks.early_stopping.patience=1",
            "epochs=5",
            *SMALL,
            *QUICK.get(backend, ()),
        )
        assert (result["stopped_by"], len(result["rows"])) == ("early_stopping", 2)

    @pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
    def test_reduce_lr_on_plateau(self, place, backend):
        rows = worker(backend).train(
            place,
            "loop=raw",
            "+callbacks=reduce_lr_on_plateau",
            "+callbacks.reduce_lr_on_plateau.min_delta=100",
            "~callbacks.early_stopping",
            "epochs=4",
            *SMALL,
            *QUICK.get(backend, ()),
        )["rows"]
        rates = [row["learning_rate"] for row in rows]
        assert rates[0] == pytest.approx(1e-3)
        assert rates[-1] < 0.05 * rates[0]

    @pytest.mark.parametrize("backend", slow_on("jax"))
    def test_learning_rate_scheduler_and_csv(self, place, backend):
        rows = worker(backend).train(
            place,
            "loop=raw",
            "+callbacks=learning_rate_scheduler",
            "epochs=3",
            *SMALL,
            *QUICK.get(backend, ()),
        )["rows"]
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        rates = [row["learning_rate"] for row in rows]
        assert rates == pytest.approx([1e-3, 9e-4, 8.1e-4], rel=1e-5)
        assert {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"} <= set(rows[0])

    @pytest.mark.parametrize("backend", slow_on("tensorflow"))
    def test_terminate_on_nan(self, place, backend):
        with pytest.raises(Refused, match=r"the loss is (nan|inf) in epoch 1") as caught:
            worker(backend).train(
                place,
                "loop=raw",
                "+callbacks=terminate_on_nan",
                "optimizer=sgd",
                "optimizer.learning_rate=1e30",
                "epochs=3",
                *SMALL,
                *QUICK.get(backend, ()),
            )
        assert caught.value.exit_code == 1
        assert not list(place.glob("runs/*/*/metrics.csv"))  # no epoch was completed


def test_an_interrupt_within_an_epoch_keeps_the_last_epoch(dlrun, place):
    process = subprocess.Popen(
        [COMMAND, "train", "backend=jax", "loop=raw", "+callbacks=sleeper", "epochs=9", *SMALL],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert any("asleep" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert dlrun.record(dlrun.only_run())["status"] == "interrupted"
    evaluated = dlrun.warm("jax", "evaluate", "latest", "--checkpoint", "last")
    assert evaluated["epoch"] == 1


@pytest.mark.parametrize(
    ("backend", "compile", "supported"),
    [("torch", "xla", "auto, cuda_graph, eager, graph"), ("jax", "graph", "auto, xla, eager")],
)
def test_an_unsupported_compile_option_is_refused(dlrun, backend, compile, supported):
    done = dlrun.within(backend, "train", "loop=raw", f"loop.compile={compile}")
    assert (done.returncode, done.stdout) == (2, "")
    [error] = [line for line in done.stderr.splitlines() if "error:" in line]
    listed = error.partition(f"loop.compile={compile}: backend '{backend}' has ")[2]
    assert sorted(listed.split(", ")) == sorted(supported.split(", "))
    assert "Traceback" not in done.stderr
    assert not (dlrun.cwd / "runs").exists()


def test_cuda_graphs_are_refused_without_a_gpu(dlrun):
    words = ("train", "loop=raw", "loop.compile=cuda_graph", "device=cpu")
    done = dlrun.within("torch", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "loop.compile=cuda_graph is for a GPU, and the run computes on cpu:0" in done.stderr
    assert "hint: loop.compile=auto" in done.stderr
    assert not (dlrun.cwd / "runs").exists()


def test_eager_logs_that_nothing_is_compiled(dlrun):
    words = ("train", "loop=raw", "smoke=true")
    eager = dlrun.within("torch", *words, "loop.compile=eager")
    assert eager.returncode == 0
    assert "nothing is compiled" in eager.stderr
    assert "nothing is compiled" not in dlrun.within("torch", *words).stderr


@pytest.mark.trains
def test_all_processes_take_as_many_steps_in_a_call_as_the_first(tmp_path):
    found = worker("jax").run(
        tmp_path,
        """
import keras, numpy as np
from dlrun.data.batches import Batches
from dlrun.data.dataset import Dataset, Split
from dlrun.data.length import length_of
from dlrun.loops.raw import raw
from dlrun.loops.training import Training

split = Split(np.zeros((12, 3), "f"), np.arange(12) % 2)
data = Dataset(split, split[:0], split, 2, length=length_of(12, 1, epochs=1, max_steps=None))
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.optimizer.build(model.trainable_variables)

def ends(**more):
    seen = []
    each = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    train = Batches(data, data.train, 1, seed=0)
    raw(Training(model, train, None, 1, 0, [each], backend, **more))
    return seen

found["alone"], found["of_four"] = ends(), ends(agree=lambda number: 4)
""",
    )
    # Its own callback, whose hook is an attribute, wants each step; that of the first process may
    # be called less often.
    assert found == {"alone": list(range(12)), "of_four": [3, 7, 11]}

"""Resumed runs end with the result of runs that never stopped."""

import json
import shutil
import signal
import subprocess
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from conftest import COMMAND, eventually, slow
from dlrun.checkpoints.format import PARTS, read_checkpoint, write_checkpoint
from dlrun.checkpoints.store import Position, checkpoint_path, list_epochs, list_positions
from trainings import BACKENDS, Refused, worker

LOOPS = ("fit", "train_step", "raw")
# From every backend and to every backend once.
MOVES = {("jax", "tensorflow"), ("tensorflow", "torch"), ("torch", "jax")}
EACH_MOVE = [pair if pair in MOVES else slow(*pair) for pair in product(BACKENDS, BACKENDS)]
# On tensorflow a run goes on to the bit in tests/loops/test_max_steps.py.
OFTEN = {("jax", "raw"), ("torch", "train_step")}
EACH_LOOP = [pair if pair in OFTEN else slow(*pair) for pair in product(BACKENDS, LOOPS)]

# All random or mutable state beside the weights: dropout with the framework's generator and with
# Keras' seed generator, noise, batch normalisation, and callbacks with counters.
NET = """
import keras
from keras import layers

def noisy(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Flatten(),
        layers.GaussianNoise(0.1),
        layers.Dense(24, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.Dense(24, activation="relu"),
        layers.Dropout(0.3, seed=7),
        layers.Dense(num_classes),
    ])
"""
KILLER = """
import os, signal
import keras

class Killer(keras.callbacks.Callback):
    def __init__(self, epoch=0, step=0, by="SIGKILL"):
        super().__init__()
        self.at = epoch, step
        self.by = getattr(signal, by)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            os.kill(os.getpid(), self.by)

class Cut(Killer):
    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (self.at[0], 13):
            raise RuntimeError("cut")
"""
SHORT = (
    "model._target_=my_net.noisy",
    "~model.units",
    "data.limit=1300",
    "batch_size=64",
    "epochs=5",
    "callbacks.early_stopping.patience=1",
    "callbacks.early_stopping.min_delta=0.02",
    "+callbacks=reduce_lr_on_plateau",
    "callbacks.reduce_lr_on_plateau.patience=0",
    "+callbacks.reduce_lr_on_plateau.min_delta=0.3",
)
UNLIKE = (
    *("run_dir", "seconds", "step_seconds", "examples_per_second", "peak_memory_bytes"),
    *("device_memory_bytes", "path", "rows", "log"),
)


@pytest.fixture(autouse=True)
def modules(tmp_path):
    (tmp_path / "my_net.py").write_text(NET)
    (tmp_path / "my_callbacks.py").write_text(KILLER)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run that never stopped, of a backend and a loop, trained when a test first asks for it."""
    place = tmp_path_factory.mktemp("straight")
    (place / "my_net.py").write_text(NET)

    @cache
    def train(backend="jax", loop="fit", *more):
        return worker(backend).train(place, *SHORT, f"loop={loop}", *more)

    return train


def state(run: Path) -> dict:
    """A run's checkpoints without their timings, by position: arrays and ``state.json``."""
    checkpoints = {}
    for at in list_positions(run / "checkpoints"):
        saved = read_checkpoint(checkpoint_path(run / "checkpoints", at))
        for row in saved.state["callbacks"]["csv"]["rows"]:
            del row["seconds"]
        for layer in saved.state["architecture"]:
            layer.pop("name", None)  # Keras keeps counting names while a process lives
        arrays = [(part, v.path, v.value.tobytes()) for part in PARTS for v in getattr(saved, part)]
        checkpoints[at] = arrays, saved.state
    return checkpoints


def assert_same(straight: dict, resumed: dict) -> None:
    assert [{**row, "seconds": 0} for row in straight["rows"]] == [
        {**row, "seconds": 0} for row in resumed["rows"]
    ]
    expected, actual = state(straight["path"]), state(resumed["path"])
    assert list(expected) == list(actual)
    for at in expected:
        assert expected[at][1] == actual[at][1]
        for a, b in zip(expected[at][0], actual[at][0], strict=True):
            assert (a[0], a[2]) == (b[0], b[2]), f"{at}: {a[:2]} differs"
    assert {k: v for k, v in straight.items() if k not in UNLIKE} == {
        k: v for k, v in resumed.items() if k not in UNLIKE
    }


def killed(cwd: Path, *arguments: str, code: int = -signal.SIGKILL) -> Path:
    """A run that was ended by a signal."""
    before = set(cwd.glob("runs/*/*"))
    done = subprocess.run(
        [COMMAND, *arguments, "--quiet"], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    [run] = set(cwd.glob("runs/*/*")) - before
    return run


@pytest.mark.parametrize(("backend", "loop"), EACH_LOOP)
def test_a_run_killed_within_an_epoch_ends_as_one_that_never_stopped(
    tmp_path, straight, backend, loop
):
    """From a checkpoint within the epoch, bit for bit."""
    # XLA compiles for each size of a batch.
    graph = ["loop.compile=graph"] if (backend, loop) == ("tensorflow", "raw") else []
    overrides = [*SHORT, f"loop={loop}", *graph, "callbacks.checkpoint.every_steps=5"]
    kill = ["_target_=my_callbacks.Killer", "epoch=3", "step=13"]
    kill = [f"+callbacks.killer.{word}" for word in kill]
    run = killed(tmp_path, "train", f"backend={backend}", *overrides, *kill)
    assert list_positions(run / "checkpoints")[-2:] == [(2, 5), (2, 10)]
    resumed = worker(backend).resume(tmp_path, run, "callbacks.killer.epoch=0")
    assert "resume after step 10 of epoch 3" in resumed["log"]
    assert_same(straight(backend, loop, *graph, "callbacks.checkpoint.every_steps=5"), resumed)


def test_a_run_killed_within_its_first_epoch_ends_as_one_that_never_stopped(tmp_path, straight):
    """There is no history yet, which the checkpoint would look for."""
    overrides = [*SHORT, "loop=raw", "callbacks.checkpoint.every_steps=5"]
    kill = ["_target_=my_callbacks.Killer", "epoch=1", "step=13"]
    kill = [f"+callbacks.killer.{word}" for word in kill]
    run = killed(tmp_path, "train", "backend=jax", *overrides, *kill)
    assert list_positions(run / "checkpoints") == [(0, 5), (0, 10)]
    resumed = worker("jax").resume(tmp_path, run, "callbacks.killer.epoch=0")
    assert "resume after step 10 of epoch 1" in resumed["log"]
    assert_same(straight("jax", "raw", "callbacks.checkpoint.every_steps=5"), resumed)


@pytest.mark.slow
def test_a_run_killed_between_two_thinned_checkpoints_ends_as_one_that_never_stopped(tmp_path):
    """Only the first epoch has a checkpoint at once; the best and the last come at the end."""
    overrides = [
        *SHORT,
        "loop=raw",
        "callbacks.early_stopping.patience=9",
        "callbacks.checkpoint.every_seconds=3600",
        "+callbacks=plots",
        "+callbacks.killer._target_=my_callbacks.Killer",
    ]
    straight = worker("jax").train(tmp_path, *overrides)
    assert {1, 5} <= set(list_epochs(straight["path"] / "checkpoints"))
    assert straight["best_epoch"] in list_epochs(straight["path"] / "checkpoints")
    last = straight["path"] / "checkpoints" / "epoch-0005" / "state.json"
    assert "history" not in json.loads(last.read_text())  # or its size grew with each epoch
    kill = ["+callbacks.killer.epoch=4", "+callbacks.killer.step=3"]
    run = killed(tmp_path, "train", *overrides, *kill)
    assert list_epochs(run / "checkpoints") == [1]
    assert len((run / "metrics.csv").read_text().splitlines()) == 4  # the head, and three epochs
    resumed = worker("jax").resume(tmp_path, run, "callbacks.killer.epoch=0")
    assert "resume after epoch 1" in resumed["log"]
    assert [row["epoch"] for row in resumed["rows"]] == [1, 2, 3, 4, 5]
    assert {k: v for k, v in straight.items() if k not in UNLIKE} == {
        k: v for k, v in resumed.items() if k not in UNLIKE
    }
    expected, actual = state(straight["path"]), state(resumed["path"])
    assert expected[Position(5)] == actual[Position(5)]


@pytest.mark.parametrize(("backend", "loop"), EACH_LOOP)
def test_a_run_resumed_for_more_epochs_ends_as_one_that_had_them(tmp_path, straight, backend, loop):
    # XLA compiles for each size of a batch.
    graph = ["loop.compile=graph"] if (backend, loop) == ("tensorflow", "raw") else []
    overrides = [*SHORT, f"loop={loop}", *graph, "callbacks.checkpoint.every_steps=5"]
    run = worker(backend).train(tmp_path, *overrides, "epochs=2")["path"]
    resumed = worker(backend).resume(tmp_path, run, "epochs=5")
    assert_same(straight(backend, loop, *graph, "callbacks.checkpoint.every_steps=5"), resumed)


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_a_run_stopped_by_sigterm_within_an_epoch_ends_as_one_that_never_stopped(tmp_path, loop):
    overrides = [*SHORT, f"loop={loop}", "+callbacks.killer._target_=my_callbacks.Killer"]
    straight = worker("jax").train(tmp_path, *overrides)
    term = [f"+callbacks.killer.{word}" for word in ("epoch=3", "step=13", "by=SIGTERM")]
    run = killed(tmp_path, "train", *overrides, *term, code=128 + signal.SIGTERM)
    assert json.loads((run / "run.json").read_text())["stopped_by"] == "signal 15"
    resumed = worker("jax").resume(tmp_path, run, "callbacks.killer.epoch=0")
    assert "resume after epoch 2" in resumed["log"]
    assert_same(straight, resumed)


# Callbacks with state beside the weights. Each decides or plots something after the interruption.
HOLDING = {
    "weights to restore": (
        "callbacks.early_stopping.min_delta=9",
        "callbacks.early_stopping.patience=4",
        "+callbacks.early_stopping.restore_best_weights=true",
    ),
    "a baseline, a cooldown, pictures": (
        "+callbacks.early_stopping.baseline=0.01",
        "callbacks.early_stopping.patience=4",
        "+callbacks=[reduce_lr_on_plateau,plots,batch_losses]",
        "+callbacks.reduce_lr_on_plateau.min_delta=9",
        "+callbacks.reduce_lr_on_plateau.cooldown=2",
    ),
    "a first epoch, a schedule": (
        "+callbacks.early_stopping.start_from_epoch=1",
        "callbacks.early_stopping.min_delta=9",
        "callbacks.early_stopping.patience=2",
        "+callbacks=learning_rate_scheduler",
    ),
    "averages": (
        "+callbacks=swap_ema_weights",
        "+optimizer.use_ema=true",
        "+optimizer.ema_momentum=0.9",
    ),
}


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        ("jax", ("a baseline, a cooldown, pictures", "averages")),
        slow("jax", ("weights to restore",)),
        slow("jax", ("a first epoch, a schedule",)),
        slow("torch", ("weights to restore", "averages")),  # these hold arrays
    ],
)
def test_the_state_of_callbacks_is_restored(tmp_path, backend, names):
    """The run is interrupted by an error within an epoch."""
    plain = [word for word in SHORT if "early" not in word and "reduce" not in word]
    plain += ["+callbacks.cut._target_=my_callbacks.Cut", "callbacks.checkpoint.every_steps=5"]
    added = [word for name in names for word in HOLDING[name]]
    straight = worker(backend).train(tmp_path, *plain, *added)
    with pytest.raises(Refused, match="cut"):
        worker(backend).train(tmp_path, *plain, *added, "+callbacks.cut.epoch=4")
    run = max(tmp_path.glob("runs/*/*"), key=lambda path: path.stat().st_ctime_ns)
    resumed = worker(backend).resume(tmp_path, run, "callbacks.cut.epoch=0")
    assert "resume after step 10 of epoch 4" in resumed["log"]
    assert_same(straight, resumed)
    drawn = [
        {path.name: path.read_bytes() for path in result["path"].glob("plots/*")}
        for result in (straight, resumed)
    ]
    assert drawn[0] == drawn[1]
    pictures = {path.rpartition(".")[2] for path in drawn[0]}
    assert pictures == ({"png", "svg"} if "pictures" in names[0] else {"svg"})
    # A later evaluation, of the averages, gives the metrics that the run reported.
    trusted = ["my_net", "my_callbacks"]
    assert worker(backend).evaluate(tmp_path, run, trusted=trusted)["metrics"] == resumed["test"]


def test_a_resumed_run_hides_points_of_repeated_epochs(tmp_path):
    overrides = [*SHORT, "+callbacks=tensorboard"]
    run = worker("jax").train(tmp_path, *overrides, "epochs=2")["path"]
    before = set(run.glob("tensorboard/train/*"))
    worker("jax").resume(tmp_path, run, "epochs=3")
    [after] = set(run.glob("tensorboard/train/*")) - before
    # An event's step, 2, and its session_log, whose status is START.
    assert b"\x10\x02\x3a\x02\x08\x01" in after.read_bytes()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("swap_on_epoch=false", "validation would use the averaged weights"),
        ("epochs=3", "kept only the averaged weights"),
    ],
)
def test_averages_that_would_be_lost_are_refused(tmp_path, word, message):
    averaged = [*SHORT, "epochs=1", *HOLDING["averages"]]
    with pytest.raises(Refused, match=message) as caught:
        if word.startswith("epochs"):
            run = worker("jax").train(tmp_path, *averaged)["path"]
            worker("jax").resume(tmp_path, run, word)
        worker("jax").train(tmp_path, *averaged, f"callbacks.swap_ema_weights.{word}")
    assert caught.value.exit_code == 2


def test_early_stopping_decides_as_in_a_run_that_never_stopped(tmp_path):
    """Its counter is at one of two epochs when the run stops."""
    stops = [*SHORT, "callbacks.early_stopping.min_delta=9", "callbacks.early_stopping.patience=2"]
    straight = worker("jax").train(tmp_path, *stops)
    assert (straight["epochs"], straight["stopped_by"]) == (3, "early_stopping")
    run = worker("jax").train(tmp_path, *stops, "epochs=2")["path"]
    assert_same(straight, worker("jax").resume(tmp_path, run, "epochs=5"))


def test_a_completed_run_hints_at_how_to_train_longer(tmp_path):
    stops = [*SHORT, "callbacks.early_stopping.min_delta=9", "callbacks.early_stopping.patience=1"]
    stopped = worker("jax").train(tmp_path, *stops)
    with pytest.raises(Refused, match="early_stopping stopped it after epoch 2") as caught:
        worker("jax").resume(tmp_path, stopped["path"], "epochs=9")
    assert (caught.value.exit_code, "~callbacks.early_stopping" in caught.value.hint) == (2, True)
    more = worker("jax").resume(tmp_path, stopped["path"], "epochs=4", "~callbacks.early_stopping")
    assert (more["epochs"], more["stopped_by"]) == (4, "epochs")
    for word in ("+export=keras", "optimizer.learning_rate=0.5"):
        with pytest.raises(Refused, match="all 4 epochs are done") as caught:
            worker("jax").resume(tmp_path, stopped["path"], word)
        assert (caught.value.exit_code, "epochs=8" in caught.value.hint) == (2, True)
    more = worker("jax").resume(tmp_path, stopped["path"], "epochs=5")
    assert [row["epoch"] for row in more["rows"]] == [1, 2, 3, 4, 5]


def test_resuming_a_completed_run_prints_its_result_and_changes_nothing(dlrun, trained):
    run = trained.copy("jax", dlrun.cwd)
    result = trained.result("jax")

    def content():
        files = (path for path in run.rglob("[!.]*") if path.is_file())
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    before = content()
    as_before = ("optimizer.learning_rate=0.001", "+callbacks=csv")
    for overrides in ((), ("backend=torch", "epochs=4"), ("epochs=3",), as_before):
        done = dlrun.here("resume", run, *overrides, "--json")
        assert done.returncode == 0, done.stderr
        same = {k: v for k, v in dlrun.parse(done.stdout).items() if k != "run_dir"}
        assert same == {k: v for k, v in result.items() if k != "run_dir"}
        assert "all 4 epochs are done; to train longer, add epochs=8" in done.stderr
    shutil.rmtree(run / "checkpoints")  # it does not start again
    assert dlrun.here("resume", run).returncode == 0
    after = content()
    assert after == {path: value for path, value in before.items() if path in after}
    record = dlrun.record(run) | {"stopped_by": "\x1b]0;title\x07"}
    (run / "run.json").write_text(json.dumps(record))
    done = dlrun.here("resume", run)
    assert (done.returncode, "run.json can't be read: stopped_by is" in done.stderr) == (2, True)


def test_a_run_killed_after_its_last_epoch_is_only_evaluated(tmp_path, straight):
    run = shutil.copytree(straight()["path"], tmp_path / "runs" / "killed" / "copy")
    record = json.loads((run / "run.json").read_text())
    results = ("epochs", "best_epoch", "stopped_by", "train", "validation", "test", "seconds")
    unfinished = {k: v for k, v in record.items() if k not in results} | {"status": "running"}
    (run / "run.json").write_text(json.dumps(unfinished))
    resumed = worker("jax").resume(tmp_path, run)
    assert resumed["seconds"]["first_step"] == 0
    assert_same(straight(), resumed)


def test_a_run_that_failed_in_its_first_epoch_starts_again(tmp_path, straight):
    cut = ("+callbacks.cut._target_=my_callbacks.Cut", "+callbacks.cut.epoch=1")
    with pytest.raises(Refused, match="cut"):
        worker("jax").train(tmp_path, *SHORT, *cut)
    [run] = tmp_path.glob("runs/*/*")
    assert_same(straight(), worker("jax").resume(tmp_path, run, "callbacks.cut.epoch=0"))


@pytest.mark.parametrize("damage", ["flipped", *(slow(how) for how in ("cut", "gone"))])
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_used(tmp_path, straight, damage):
    run = worker("jax").train(tmp_path, *SHORT, "epochs=3")["path"]
    arrays = run / "checkpoints" / "epoch-0003" / "arrays.npz"
    if damage == "gone":
        arrays.unlink()
    else:
        content = bytearray(arrays.read_bytes())
        content[len(content) // 2] ^= 255
        arrays.write_bytes(content[: len(content) // (2 if damage == "cut" else 1)])
    resumed = worker("jax").resume(tmp_path, run, "epochs=5")
    assert "resume after epoch 2" in resumed["log"]
    assert_same(straight(), resumed)


def test_with_no_good_checkpoint_nothing_is_touched(dlrun):
    run = dlrun.path(dlrun.warm("jax", "train", "smoke=true"))
    arrays = run / "checkpoints" / "epoch-0001" / "arrays.npz"
    arrays.write_bytes(b"")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    done = dlrun.within("jax", "resume", run, "epochs=2")
    assert done.returncode == 2
    assert "no checkpoint of" in done.stderr
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert {p for p in after if after[p] != before.get(p)} <= {run / ".lock"}


# Invalid values of a checkpoint's state after two epochs, by key.
BROKEN = {
    "no history": ("history", None),
    "a history that is not a list": ("history", {"epoch": 1}),
    "a short history": ("history", [{"epoch": 1}]),
    "a row that is not a mapping": ("history", [{"epoch": 1}, 2]),
    "a row of texts": ("history", [{"epoch": 1}, {"epoch": 2, "loss": "low"}]),
    "a row of another epoch": ("history", [{"epoch": 1}, {"epoch": 7}]),
    "a best that is not a mapping": ("best", "2"),
    "a best without its epoch": ("best", {"value": 0.5}),
    "a best of a later epoch": ("best", {"epoch": 9, "value": 0.5}),
    "a best without its value": ("best", {"epoch": 1, "value": None}),
    "no stopped flag": ("stopped", None),
    "callbacks that are a list": ("callbacks", []),
    "a callback that is a number": ("callbacks", {"early_stopping": 3}),
    "a counter that is a text": ("callbacks", {"early_stopping": {"wait": "1"}}),
    "rows that are a text": ("callbacks", {"csv": {"rows": "abc"}}),
    "rows that are numbers": ("callbacks", {"csv": {"rows": [1, 2]}}),
    "no rows": ("callbacks", {"csv": {}}),
    "layers that are a text": ("architecture", "Dense"),
    "a layer without a config": ("architecture", [{"name": "a", "class": "Dense"}]),
}


def test_an_invalid_state_is_reported_and_nothing_is_touched(tmp_path):
    """Its hashes match, as after an edit by another program."""
    run = worker("jax").train(tmp_path, *SHORT, "epochs=2")["path"]
    for at in list_positions(run / "checkpoints")[:-1]:
        shutil.rmtree(checkpoint_path(run / "checkpoints", at))
    path = run / "checkpoints" / "epoch-0002"
    saved = read_checkpoint(path)
    parts = {part: getattr(saved, part) for part in PARTS}
    record = (run / "run.json").read_text()
    for name, (key, value) in BROKEN.items():
        broken = {**saved.state, key: value}
        write_checkpoint(path.parent, Position(2), parts, broken, written_by=saved.written_by)
        with pytest.raises(Refused, match="no checkpoint of") as caught:
            worker("jax").resume(tmp_path, run, "epochs=3")
        assert (name, caught.value.exit_code) == (name, 2)
        assert (run / "run.json").read_text() == record
    write_checkpoint(path.parent, Position(2), parts, [], written_by=saved.written_by)
    with pytest.raises(Refused, match="no checkpoint of"):
        worker("jax").resume(tmp_path, run, "epochs=3")


@pytest.mark.parametrize(("by", "to"), EACH_MOVE)
def test_a_run_continues_on_another_backend_with_its_optimizer_state(tmp_path, by, to):
    """The result is the same within rounding: no layer is random."""
    if by == to:
        pytest.skip("is another test")
    plain = ["data.limit=2000", "epochs=4", "model.units=32", "optimizer.learning_rate=0.003"]
    straight = worker(by).train(tmp_path, *plain)
    run = worker(by).train(tmp_path, *plain, "epochs=2")["path"]
    resumed = worker(to).resume(tmp_path, run, "epochs=4")
    assert resumed["backend"] == to
    assert "not bit-exact" in resumed["log"]
    for row, other in zip(straight["rows"], resumed["rows"], strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4)
    last = [
        read_checkpoint(result["path"] / "checkpoints" / "epoch-0004").optimizer
        for result in (straight, resumed)
    ]
    for a, b in zip(*last, strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-2, atol=1e-5, err_msg=a.path)


def test_learning_rate_and_callbacks_may_change(tmp_path):
    run = worker("jax").train(tmp_path, *SHORT, "epochs=1")["path"]
    resumed = worker("jax").resume(
        tmp_path,
        run,
        *("epochs=3", "optimizer.learning_rate=1e-5", "~callbacks.reduce_lr_on_plateau"),
    )
    assert [row["learning_rate"] for row in resumed["rows"]] == pytest.approx([1e-3, 1e-5, 1e-5])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.units=64", "the run has 512"),
        ("model=mnist_convnet", "the run has model=mnist_mlp"),
        ("optimizer=sgd", "the run has optimizer=adam"),
        ("data.limit=100", "the run has 384"),
        ("batch_size=32", "the run has 128"),
        ("seed=3", "the run has 0"),
        ("task.monitor=loss", "the run has val_loss"),
    ],
)
def test_overrides_that_would_break_a_run_are_refused(smoked, dlrun, override, message):
    done = dlrun.here("resume", smoked, override, "epochs=2")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{override}: can't change here: {message}" in done.stderr
    assert "what may change: epochs, max_steps, backend" in done.stderr


@pytest.fixture(scope="module")
def smoked(tmp_path_factory):
    from conftest import Dlrun

    dlrun = Dlrun(tmp_path_factory.mktemp("smoked"))
    return dlrun.path(dlrun.warm("jax", "train", "smoke=true"))


def test_other_data_under_the_same_name_is_refused(tmp_path):
    (tmp_path / "configs" / "data").mkdir(parents=True)
    (tmp_path / "configs" / "data" / "mine.yaml").write_text("_target_: my_data.mine\n")
    source = (
        "import numpy as np\n"
        "from dlrun.data.dataset import Split, split_off\n"
        "def mine():\n"
        "    draw = np.random.default_rng(SEED)\n"
        "    split = lambda n: Split(draw.random((n, 4), np.float32), draw.integers(0, 3, n))\n"
        "    train = split(300)\n"
        "    return split_off(train.inputs, train.labels, split(50),\n"
        "                     validation_samples=50, limit=None, num_classes=3)\n"
    )
    dlrun_ = worker("jax")
    (tmp_path / "my_data.py").write_text(source.replace("SEED", "0"))
    run = dlrun_.train(tmp_path, "data=mine", "epochs=1")["path"]
    before = (run / "run.json").read_text()
    (tmp_path / "elsewhere").mkdir()
    dlrun_.run(tmp_path / "elsewhere", "")  # which imports modules again
    (tmp_path / "my_data.py").write_text(source.replace("SEED", "1"))
    with pytest.raises(Refused, match="has changed since the run started: its train split"):
        dlrun_.resume(tmp_path, run, "epochs=2")
    assert (run / "run.json").read_text() == before


def test_a_run_has_one_writer(dlrun):
    arguments = ["train", "epochs=1000", "data.limit=2000", "~callbacks.early_stopping"]
    with subprocess.Popen(
        [COMMAND, *arguments], cwd=dlrun.cwd, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch  1/1000" in line:
                break
        done = dlrun.within("jax", "resume", "latest")
        assert done.returncode == 2
        assert f"is being written by process {process.pid} on" in done.stderr
        run = dlrun.only_run()
        eventually(lambda: list_epochs(run / "checkpoints"))  # written after the line of its epoch
        process.kill()
    # A killed process holds no lock, and its partial files are removed.
    (run / "checkpoints" / ".epoch-0099.partial-1").mkdir()
    last = list_epochs(run / "checkpoints")[-1]
    result = dlrun.warm("jax", "resume", "latest", f"epochs={last + 1}")
    assert result["epochs"] == last + 1
    assert not list((run / "checkpoints").glob(".*"))


def test_the_record_lists_each_resumption(tmp_path):
    run = worker("jax").train(tmp_path, *SHORT, "epochs=1")["path"]
    worker("jax").resume(tmp_path, run, "epochs=2")
    record = json.loads((run / "run.json").read_text())
    [resumed] = record["resumed"]
    assert resumed["after"] == {"epochs": 1, "steps": 0}
    assert resumed["overrides"] == ["backend=jax", "epochs=2"]
    assert (record["status"], record["epochs"]) == ("completed", 2)
    assert "epochs: 2" in (run / "config.yaml").read_text()
    assert record["config"]["epochs"] == 2

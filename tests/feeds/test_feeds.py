"""Every feed on every backend gives ``fit()`` the same batches and the same curves."""

import pytest

from conftest import in_turn, slow, slow_on
from dlrun.config.compose import compose
from dlrun.errors import DlrunError
from trainings import BACKENDS, worker

FEEDS = ("numpy", "pandas", "pydataset", "tf_data", "torch_dataloader")
PACKAGES = {"pandas": "pandas", "tf_data": "tensorflow", "torch_dataloader": "torch"}

# Dropout detects a feed that draws from the run's generators; 300 samples leave a smaller batch.
SETTINGS = ("model=mnist_mlp_dropout", "model.units=32", "epochs=2", "data.limit=300")
COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")

# Every feed in one process, with two inputs, one of them in a file, two labels and their weights,
# and a class drawn more often than it occurs; and the specifics of each feed.
SCRIPT = """
import importlib, tempfile
import numpy as np
from dlrun import backends

backends.start_beside("torch")
backends.start_beside("tensorflow")
import keras, tensorflow, torch
from dlrun.data.batches import Batches
from dlrun.data.dataset import Dataset, Split
from dlrun.data.sampling import ClassSampling

place = np.arange(10)
pixels = np.memmap(tempfile.TemporaryFile(), np.uint8, shape=(10, 3, 2))
pixels[:] = np.random.default_rng(0).integers(256, size=pixels.shape)
split = Split(
    {"pixels": pixels, "size": place[:, None] / 3},
    {"number": place[:, None] / 1, "kind": place.astype(np.uint8)},
    {"number": place / 7, "kind": place},
)
classes = {"number": 1, "kind": 10}
sampling = ClassSampling(place < 4, oversample=True)
data = Dataset(split, split, split, num_classes=classes, scale=255, sampling=sampling)
KINDS = {
    "tf_data": tensorflow.data.Dataset,
    "torch_dataloader": torch.utils.data.DataLoader,
}

def batches_of(source):
    if isinstance(source, keras.utils.PyDataset):
        return [source[index] for index in range(len(source))]
    return list(source)

def same(ours, theirs):
    theirs = np.asarray(theirs)
    return theirs.dtype == ours.dtype and np.array_equal(theirs, ours)

for name in FEEDS:
    batches = Batches(data, split, 4, seed=1)
    source = getattr(importlib.import_module(f"dlrun.feeds.{name}"), name)(batches)
    found[name] = [isinstance(source, KINDS.get(name, keras.utils.PyDataset)), len(source)]
    pixels[:] += name == "tf_data"  # it would not see this, had it copied the file into memory
    for epoch in (0, 1):
        batches.start_epoch(epoch)
        expected = [batches[index] for index in range(len(batches))]
        given = batches_of(source)
        found[name].append(len(given))
        for ours, theirs in zip(expected, given):
            equal = keras.tree.map_structure(same, ours, tuple(theirs))
            found[name] += keras.tree.flatten(equal)
"""


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """The logs of a run by backend and feed, cached."""
    place = tmp_path_factory.mktemp("feeds")
    seen = {}

    def curve(backend, feed):
        if (backend, feed) not in seen:
            result = worker(backend).train(place, f"feed={feed}", *SETTINGS)
            logged = [[row[c] for c in COLUMNS] for row in result["rows"]]
            seen[backend, feed] = [*logged, list(result["test"].values())]
        return seen[backend, feed]

    return curve


@pytest.mark.parametrize(("backend", "feed"), in_turn(BACKENDS, FEEDS))
def test_every_feed_gives_the_same_curves_on_every_backend(curves, backend, feed):
    curve = curves(backend, feed)
    assert curve[0] != curve[1]
    for ours, auto in zip(curve, curves(backend, "auto"), strict=True):
        assert ours == pytest.approx(auto, rel=1e-6)


def test_every_feed_gives_the_batches_in_the_epochs_order(tmp_path):
    found = worker("jax").run(tmp_path, SCRIPT.replace("FEEDS", repr(FEEDS)))
    assert tuple(found) == FEEDS
    epoch = [3, *[True] * 3 * 6]  # batches, and each one's two inputs, two labels and their weights
    for name, seen in found.items():
        assert seen == [True, 3, *epoch, *epoch], name


def test_every_feed_supports_several_inputs_and_outputs(tmp_path):
    settings = ("model=ticket_classifier", "data.vocabulary_size=100", "epochs=1")
    expected, *losses = [
        worker("jax").train(tmp_path, *settings, f"feed={name}")["train"]
        for name in ("auto", *PACKAGES)
    ]
    for feed, loss in zip(PACKAGES, losses, strict=True):
        assert loss == pytest.approx(expected, rel=1e-6), feed


def test_a_custom_train_step_uses_the_feed(tmp_path):
    settings = ("loop=train_step", "smoke=true")
    losses = [
        worker("jax").train(tmp_path, *settings, f"feed={name}")["train"]
        for name in ("auto", "pandas")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_feed_is_a_group_beside_every_data_set():
    assert compose([]).choices["feed"] == "auto"
    for data in ("mnist", "blobs", "tickets"):
        config = compose([f"data={data}", "feed=tf_data"])
        assert config.feed["_target_"] == "dlrun.feeds.tf_data.tf_data"
        assert (config.choices["feed"], config.choices["data"]) == ("tf_data", data)
    assert compose(["experiment=data_sources"]).choices["feed"] == "tf_data"


def test_an_unknown_feed_is_reported_with_the_nearest():
    with pytest.raises(DlrunError) as raised:
        compose(["feed=panda"])
    assert raised.value.message == (
        "feed=panda: no such option in group 'feed'; there are auto, numpy, pandas, pydataset,"
        " tf_data, torch_dataloader"
    )
    assert raised.value.hint == "did you mean feed=pandas?"


def test_a_feed_of_ones_own_is_a_function_of_batches(dlrun):
    (dlrun.cwd / "my_feeds.py").write_text(
        "from dlrun.feeds.pydataset import pydataset\n\n"
        "def mine(batches, say):\n    print(say, len(batches))\n    return pydataset(batches)\n",
        encoding="utf-8",
    )
    (dlrun.cwd / "configs/feed").mkdir(parents=True)
    (dlrun.cwd / "configs/feed/mine.yaml").write_text(
        "_target_: my_feeds.mine\nsay: batches\n", encoding="utf-8"
    )
    done = dlrun.within("jax", "train", "feed=mine", "smoke=true")
    assert done.returncode == 0, done.stderr
    assert "batches 3" in done.stderr.splitlines()


# Mistakes


@pytest.mark.parametrize(
    "feed", slow_on("tf_data", "torch_dataloader", of=[name for name in FEEDS if name != "numpy"])
)
def test_the_raw_loop_refuses_a_feed(dlrun, feed):
    done, imported = dlrun.traced("train", "loop=raw", f"feed={feed}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"error: feed={feed}: loop=raw gathers its batches itself and takes only"
        " feed=auto or feed=numpy"
    ]
    assert "keras" not in imported
    assert not (dlrun.cwd / "runs").exists()


def test_the_raw_loop_accepts_feed_numpy(dlrun):
    assert dlrun.warm("jax", "train", "loop=raw", "feed=numpy", "smoke=true")["loop"] == "raw"


OWN_LOOPS = """
from dlrun.loops.fit import fit

def gathers(training):
    return fit(training)

def passes_on(training, feed):
    print("fed by", type(feed(training.train)).__name__)
    return fit(training, feed=feed)

def wraps(training, **options):
    print("keywords:", *options)
    return fit(training, **options)

def by_name(model, train, **others):
    raise AssertionError
"""


def test_a_custom_loop_gets_the_feed_if_it_takes_one(dlrun):
    (dlrun.cwd / "own_loops.py").write_text(OWN_LOOPS, encoding="utf-8")
    (dlrun.cwd / "configs/loop").mkdir(parents=True)
    for name in ("gathers", "passes_on", "wraps", "by_name"):
        (dlrun.cwd / f"configs/loop/{name}.yaml").write_text(f"_target_: own_loops.{name}\n")
    assert dlrun.within("jax", "train", "loop=gathers", "smoke=true").returncode == 0
    refused = dlrun.within("jax", "train", "loop=gathers", "feed=pandas")
    assert refused.returncode == 2
    assert "feed=pandas: loop=gathers gathers its batches itself" in refused.stderr
    passed = dlrun.within("jax", "train", "loop=passes_on", "feed=pandas", "smoke=true")
    assert passed.returncode == 0
    assert "fed by BatchSequence" in passed.stderr.splitlines()
    wrapped = dlrun.within("jax", "train", "loop=wraps", "feed=pandas", "smoke=true")
    assert wrapped.returncode == 0
    assert "keywords: feed" in wrapped.stderr.splitlines()
    refused = dlrun.within("jax", "train", "loop=by_name", "smoke=true")
    assert refused.returncode == 2
    assert "error: loop: own_loops.by_name takes no 'training'" in refused.stderr


# Hides all packages that a feed may need.
WITHOUT = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name in ("pandas", "tensorflow", "torch") else find(name, path, target)

PathFinder.find_spec = find_spec
"""


@pytest.fixture
def without(dlrun):
    """The environment of an interpreter without these packages."""
    (dlrun.cwd / "sitecustomize.py").write_text(WITHOUT, encoding="utf-8")
    return {"PYTHONPATH": str(dlrun.cwd)}


@pytest.mark.parametrize(
    ("feed", "package"),
    [("pandas", "pandas"), slow("tf_data", "tensorflow"), slow("torch_dataloader", "torch")],
)
def test_a_missing_package_is_reported_before_anything_starts(dlrun, without, feed, package):
    done, imported = dlrun.traced("train", f"feed={feed}", env=without)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"error: feed={feed}: {package} is not installed",
        "",
        f"hint: pip install 'dlrun[{package}]', or choose another option of 'feed'",
    ]
    assert not imported & {"keras", "jax"}
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.parametrize(
    ("feed", "package", "message"),
    [
        ("pandas", "pandas", "feed: dlrun.feeds.pandas.pandas can't be imported: no C extension"),
        ("tf_data", "tensorflow", "tensorflow can't be imported: no C extension"),
        slow("torch_dataloader", "torch", "torch can't be imported: no C extension"),
    ],
)
def test_a_broken_package_is_reported_before_a_run_starts(dlrun, feed, package, message):
    (dlrun.cwd / package).mkdir()
    (dlrun.cwd / package / "__init__.py").write_text("raise ImportError('no C extension')\n")
    environment = {"PYTHONPATH": str(dlrun.cwd)}
    done = dlrun("train", f"feed={feed}", "smoke=true", env=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error: {message}"
    assert not (dlrun.cwd / "runs").exists()


# Evaluation and prediction


def test_evaluation_supports_every_feed(trained, dlrun):
    run = trained.run("jax")
    losses = [
        worker("numpy").evaluate(dlrun.cwd, run, "data.limit=300", f"feed={feed}")
        for feed in ("auto", *PACKAGES)
    ]
    assert len({evaluated["metrics"]["loss"] for evaluated in losses}) == 1


def test_evaluation_does_not_need_the_package_of_the_training_feed(dlrun, without):
    trained = dlrun.warm("jax", "train", "smoke=true", "feed=pandas")
    evaluated = dlrun.json("evaluate", "latest", env=without)
    assert evaluated["metrics"] == pytest.approx(trained["test"])


def test_prediction_refuses_a_feed(trained, dlrun):
    done = dlrun.within("jax", "predict", trained.run("jax"), "feed=pandas", "--output", "p.npz")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: feed=pandas: predict gathers its batches itself",
    )

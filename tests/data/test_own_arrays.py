"""Arrays without a split: one file or two, what a function returns, and Keras' own files."""

import functools
import gzip
import io
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dlrun.data.arrays import array_source
from dlrun.data.dataset import Dataset, Split
from dlrun.data.description.arrays import MOST_BINNED, describe_array
from dlrun.data.draw_splits import split_rows
from dlrun.data.files.pickled_arrays import load_pickle
from dlrun.data.keras import keras
from dlrun.data.npy import npy
from dlrun.data.npz import npz
from dlrun.data.readers import Request, open_reader
from dlrun.data.samples import Samples
from dlrun.data.splits import SplitOptions
from dlrun.errors import DlrunError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(3, 2, (200, 4)).astype(np.float32)


def source(labels, **options):
    return array_source("mine", lambda: Samples(X, np.asarray(labels)), **options)


def test_a_file_of_x_and_y_or_two_files_are_split_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.asarray(["cat", "dog"])[np.arange(200) % 3 // 2]
    np.savez("both.npz", x=X, y=labels)
    np.save("x.npy", X)
    np.save("y.npy", labels)
    expected = split_rows(200, SplitOptions("stratified"), classes=(labels == "dog").astype(int))
    for of in (npy(path="both.npz"), npy(path="x.npy", labels="y.npy")):
        assert of.tasks() == {None: "binary_classification"}
        data = of.dataset()
        for split, code in (("train", 0), ("validation", 1), ("test", 2)):
            rows = expected == code
            np.testing.assert_array_equal(getattr(data, split).inputs, X[rows])
            np.testing.assert_array_equal(getattr(data, split).labels, labels[rows] == "dog")
        assert data.targets.classes == ("cat", "dog")
    assert of.describe().classes == {"y": {"cat": 134, "dog": 66}}
    with pytest.raises(DlrunError) as caught:
        npz(path="both.npz", num_classes=2)
    assert caught.value.hint == "data=npy data.path=both.npz splits x and y"
    with pytest.raises(DlrunError, match="needs one of labels"):
        npy(path="x.npy")


def test_arrays_of_the_file_that_are_not_read_are_named(tmp_path, caplog):
    path = str(tmp_path / "both.npz")
    np.savez(path, x=X, y=np.arange(200) % 2, w=np.ones(200))
    npy(path=path).dataset()
    assert not caplog.records
    np.savez(path, x=X, y=np.arange(200) % 2, x_val=X[:5], weights=np.ones(200))
    npy(path=path).dataset()
    [record] = caplog.records
    assert record.message.endswith(
        "both.npz: arrays that are not read: x_val, weights; read are x, y, w"
    )


def test_weights_go_with_their_samples(tmp_path):
    weights = RANDOM.random(200).astype(np.float32)
    np.savez(tmp_path / "both.npz", x=X, y=np.arange(200) % 2, w=weights)
    data = npy(path=str(tmp_path / "both.npz")).dataset()
    for split in (data.train, data.validation, data.test):
        rows = [np.flatnonzero((row == X).all(axis=1))[0] for row in split.inputs]
        np.testing.assert_array_equal(split.weights, weights[rows])


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("float32", None), ("float64", "classification"), ("bool", "classification")],
)
def test_one_hot_labels_are_classes(tmp_path, monkeypatch, dtype, kind):
    monkeypatch.chdir(tmp_path)
    classes = RANDOM.integers(0, 3, 200)
    one_hot = np.eye(3, dtype=dtype)[classes]
    np.savez("numbers.npz", x=X, y=classes)
    np.savez("one_hot.npz", x=X, y=one_hot)
    np.save("x.npy", X)
    np.save("y.npy", one_hot)
    data = npy(path="numbers.npz").dataset()
    same = npy(path="one_hot.npz", kind=kind)
    for of in (same, npy(path="x.npy", labels="y.npy", kind=kind)):
        for split in ("train", "validation", "test"):
            np.testing.assert_array_equal(
                getattr(of.dataset(), split).labels, getattr(data, split).labels
            )
        assert of.dataset().targets == data.targets
        assert "the labels are one-hot, and taken as 3 classes" in of.describe().notes[0]
    assert npy(**same.describe().explicit).tasks() == {None: "classification"}
    [part] = open_reader(Request(Path("one_hot.npz"), data.spec, labels=True)).parts()
    np.testing.assert_array_equal(part.labels, classes)


def test_labels_of_several_columns_are_numbers_if_told_or_not_one_hot():
    one_hot = np.eye(3)[np.arange(200) % 3]
    assert source(one_hot, kind="regression").tasks() == {None: "regression"}
    assert source(one_hot, kind="multilabel").tasks() == {None: "multilabel"}
    assert source(one_hot.astype(int)).tasks() == {None: "multilabel"}
    two = np.maximum(one_hot, np.eye(3)[np.arange(200) % 2])
    assert source(two).tasks() == {None: "regression"}
    with pytest.raises(DlrunError, match="the labels are 3 columns, expected one of classes"):
        source(two, kind="classification").tasks()


def test_names_of_one_hot_columns_are_the_classes():
    one_hot = np.eye(2)[np.arange(200) % 2]
    of = array_source("mine", lambda: Samples(X, one_hot, ["ham", "spam"]))
    assert of.tasks() == {None: "binary_classification"}
    assert of.describe().classes == {"y": {"ham": 100, "spam": 100}}


def test_one_hot_labels_that_are_split_are_classes(tmp_path):
    classes = np.arange(200) % 3
    one_hot = np.eye(3, dtype=np.float32)[classes]
    path = str(tmp_path / "split.npz")
    np.savez(path, x_train=X, y_train=one_hot, x_test=X[:50], y_test=one_hot[:50])
    data = npz(path=path, num_classes=3, validation_samples=50)
    np.testing.assert_array_equal(data.train.labels, classes[50:])
    np.testing.assert_array_equal(data.test.labels, classes[:50])
    [part] = open_reader(Request(_with_y(tmp_path, one_hot), data.spec, labels=True)).parts()
    np.testing.assert_array_equal(part.labels, classes)


def _with_y(folder: Path, labels: np.ndarray) -> Path:
    np.savez(folder / "new.npz", x=X, y=labels)
    return folder / "new.npz"


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (np.arange(200) % 5, "classification", 5),
        (np.arange(200) % 2 == 0, "binary_classification", 1),
        (X[:, 0] * 1000, "regression", 1),
        (X[:, :3], "regression", 3),
        ((X[:, :3] > 3).astype(np.uint8), "multilabel", 3),
    ],
)
def test_the_task_is_found_from_the_labels(labels, task, classes):
    of = source(labels)
    data = of.dataset()
    assert of.tasks() == {None: task}
    assert data.num_classes == classes
    if task == "regression":
        rows = of._table.splits == 2
        restored = data.targets.restore(data.test.labels)
        np.testing.assert_allclose(restored, labels.reshape(200, -1)[rows], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(data.train.labels.mean(axis=0), 0, atol=1e-5)


def test_a_runs_own_statistics_are_applied_to_other_samples():
    first = source(X[:, 0] * 2, standardize=True).dataset()
    np.testing.assert_allclose(first.train.inputs.mean(axis=0), 0, atol=1e-6)
    again = array_source("more", lambda: Samples(X + 1, X[:, 0] * 2 + 1), standardize=True)
    other = again.dataset(first.spec)
    shift = 1 / np.asarray(first.preprocessing[0].statistics.deviation)
    np.testing.assert_allclose(other.test.inputs - first.test.inputs, shift[None, :] + 0 * X[:30],
                               rtol=1e-4)  # fmt: skip
    assert other.targets == first.targets


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(200), "every row is 0"),
        (np.arange(150), "differ in their number of samples: (200, 4), (150,)"),
        (np.full(200, None), "the column has no values"),
        (np.zeros((200, 2, 2)), "the labels are float64 of shape (200, 2, 2)"),
        (np.asarray([*range(199), "x"], object), "the labels are of mixed types"),
    ],
)
def test_labels_that_can_not_be_learnt_are_refused(labels, message):
    with pytest.raises(DlrunError) as caught:
        source(labels).dataset()
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.float32(1), "data: mine.npz: an array is a single number"),
        (RANDOM.normal(size=(200, 4)).astype(complex), "x has dtype complex128: expected integers"),
        (np.full((200, 4), "a"), "x has dtype <U1: expected integers or floats"),
    ],
)
def test_inputs_that_are_no_rows_of_numbers_are_refused(tmp_path, monkeypatch, inputs, message):
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", x=inputs, y=np.arange(200) % 2)
    with pytest.raises(DlrunError) as caught:
        npy(path="mine.npz").describe()
    assert message in caught.value.message


def test_a_description_counts_the_values_that_are_missing(tmp_path):
    inputs = np.arange(400.0).reshape(200, 2)
    inputs[0] = np.nan
    np.savez(tmp_path / "mine.npz", x=inputs, y=np.arange(200) % 2)
    [column, _] = npy(path=str(tmp_path / "mine.npz")).describe().columns
    assert (column["missing"], column["low"], column["high"]) == (2, 2.0, 399.0)


# Keras' files


def write_fashion(folder):
    folder.mkdir(parents=True)
    images = RANDOM.integers(0, 256, (300, 28, 28), dtype=np.uint8)
    labels = (np.arange(300) % 10).astype(np.uint8)
    for split, rows in (("train", slice(200)), ("t10k", slice(200, None))):
        for part, array in (("images-idx3", images[rows]), ("labels-idx1", labels[rows])):
            head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            with gzip.open(folder / f"{split}-{part}-ubyte.gz", "wb") as file:
                file.write(head + array.tobytes())
    return images, labels


def test_fashion_mnist_is_read_from_keras_files(tmp_path, monkeypatch):
    images, labels = write_fashion(tmp_path / "datasets" / "fashion-mnist")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    of = keras(name="fashion_mnist", validation=50)
    data = of.dataset()
    assert [len(data.train), len(data.validation), len(data.test)] == [150, 50, 100]
    np.testing.assert_array_equal(data.test.inputs, images[200:])
    np.testing.assert_array_equal(data.train.inputs, images[:200][of._table.splits[:200] == 0])
    names = np.asarray(data.targets.classes)[data.test.labels]
    assert set(labels[200:][names == "Shirt"]) == {6}


@pytest.mark.slow
@pytest.mark.trains
def test_fashion_mnist_is_what_keras_reads_from_the_same_files(tmp_path, monkeypatch):
    write_fashion(tmp_path / "datasets" / "fashion-mnist")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    code = (
        "import keras, numpy as np; (a, b), (c, d) = keras.datasets.fashion_mnist.load_data();"
        f"np.savez({str(tmp_path / 'read.npz')!r}, a=a, b=b, c=c, d=d)"
    )
    monkeypatch.setenv("KERAS_BACKEND", "numpy")  # its default imports tensorflow
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    theirs = np.load(tmp_path / "read.npz")
    of = keras(name="fashion_mnist", validation=50)
    data = of.dataset()
    assert [len(data.train), len(data.validation), len(data.test)] == [150, 50, 100]
    np.testing.assert_array_equal(data.test.inputs, theirs["c"])
    np.testing.assert_array_equal(data.train.inputs, theirs["a"][of._table.splits[:200] == 0])
    names = np.asarray(data.targets.classes)[data.test.labels]
    shirt = names == "Shirt"
    assert set(theirs["d"][shirt]) == {6}
    assert shirt.sum() == 10


class Python2(pickle._Pickler):
    """Writes texts and bytes as Python 2 did, which wrote CIFAR."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012 - as in its parent

    def save_text(self, value):
        content = value.encode("ascii") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_text


def python2(value):
    file = io.BytesIO()
    Python2(file, 2).dump(value)
    return file.getvalue()


# Not protocol 5, Python 3.14's own choice: these files are old.
@pytest.mark.parametrize("write", [python2, functools.partial(pickle.dumps, protocol=4)])
def test_cifars_batches_are_read_without_unpickling_what_they_name(tmp_path, write):
    images = RANDOM.integers(0, 256, (60, 3072), dtype=np.uint8)
    labels = (np.arange(60) % 10).tolist()
    folder = tmp_path / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        rows = slice(10 * number, 10 * number + 10)
        content = {b"data": images[rows], b"labels": labels[rows], b"batch_label": b"x"}
        (folder / name).write_bytes(write(content))
    data = keras(name="cifar10", path=str(tmp_path), validation=10, split="column", by="split")
    data = data.dataset()
    assert (data.input_shape, data.scale, len(data.test)) == ((32, 32, 3), 255, 10)
    red = images[50:, :1024].reshape(10, 32, 32)
    np.testing.assert_array_equal(data.test.inputs[..., 0], red)
    assert data.targets.classes[data.test.labels[3]] == "cat"


def test_ragged_texts_become_ids(tmp_path):
    texts = np.empty(40, object)
    texts[:] = [list(range(1, 3 + n)) for n in range(40)]
    np.savez(tmp_path / "reuters.npz", x=texts, y=np.arange(40) % 4)
    arrays = {"x_train": texts, "y_train": np.arange(40) % 2, "x_test": texts[:8],
              "y_test": np.arange(8) % 2}  # fmt: skip
    np.savez(tmp_path / "imdb.npz", **arrays)
    data = keras(name="imdb", path=str(tmp_path), words=10, length=12).dataset()
    # Keras' ids: 1 begins a text, a word is its rank plus 3, a rarer one is 2; 0 pads.
    np.testing.assert_array_equal(data.test.inputs[2], [1, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(data.test.inputs[7], [1, 4, 5, 6, 7, 8, 9, 2, 2, 2, 0, 0])
    assert data.sizes == {None: (10,)}
    assert keras(name="reuters", path=str(tmp_path)).tasks() == {None: "classification"}


def test_a_pickle_that_names_anything_else_is_refused(tmp_path):
    for hostile in (b"cos\nsystem\n(S'touch owned'\ntR.", pickle.dumps(zipfile.ZipFile)):
        with pytest.raises(ValueError, match="which is no array"):
            load_pickle(io.BytesIO(hostile))
    with pytest.raises(ValueError, match="can't be read"):
        load_pickle(io.BytesIO(pickle.dumps({"a": np.arange(9)})[:-9]))
    with zipfile.ZipFile(tmp_path / "reuters.npz", "w") as archive:
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": (1,)}
        )
        archive.writestr("x.npy", file.getvalue() + b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(DlrunError, match=r"can't be read: .*os\.system"):
        keras(name="reuters", path=str(tmp_path)).tasks()


def test_what_keras_has_not_downloaded_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    start = time.perf_counter()
    with pytest.raises(DlrunError) as caught:
        keras(name="imdb")
    assert time.perf_counter() - start < 1
    assert f"there is no {tmp_path / 'datasets' / 'imdb.npz'}" in caught.value.message
    assert "data.download=true" in caught.value.hint
    assert len(keras(name="mnist", limit=9).dataset().train) == 9  # dlrun brings it


def test_a_number_that_is_not_finite_is_named_by_its_place_in_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs, labels = X.copy(), np.arange(200) % 2
    inputs[40, 1] = np.nan
    np.savez("both.npz", x=inputs, y=labels)
    np.savez("split.npz", x_train=inputs, y_train=labels, x_test=X, y_test=labels)
    for made, place in (
        (lambda: npy(path="both.npz").dataset(), r"both\.npz: x\[40, 1\] is nan"),
        (lambda: npz(path="split.npz", num_classes=2, validation_samples=20),
         r"split\.npz: x_train\[40, 1\] is nan"),
    ):  # fmt: skip
        with pytest.raises(DlrunError, match=place):
            made()
    assert npy(path="both.npz").describe().notes[-1].endswith("both.npz: x[40, 1] is nan")
    numbers = np.where(np.arange(200) == 40, np.nan, np.arange(200) * 0.5)
    np.savez("both.npz", x=inputs, y=numbers)  # it has no label, and is left out
    assert len(npy(path="both.npz").dataset().train) == 139


def labelled(spec, **arrays):
    """The one part, and the notes, of arrays with labels."""
    np.savez("new.npz", **arrays)
    reader = open_reader(Request(Path("new.npz"), spec, key="--data", labels=True))
    [part] = reader.parts()
    return part, reader.notes()


def test_labels_of_a_file_of_arrays_are_those_of_the_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = np.where(np.arange(200) % 2, "owl", "cat")
    part, _ = labelled(source(names).dataset().spec, x=X[:3], y=np.asarray(["owl", "cat", "cat"]))
    assert part.labels.tolist() == [1, 0, 0]
    spec = source(np.arange(200) * 0.5).dataset().spec
    weights = np.asarray([1.0, 2.0, 0.5])
    part, notes = labelled(spec, x=X[:3], y=np.asarray([1.5, np.nan, 2.5]), w=weights)
    assert spec.targets.restore(part.labels) == pytest.approx(np.asarray([[1.5], [2.5]]), abs=1e-3)
    assert part.inputs.tolist() == X[[0, 2]].tolist()
    assert (part.rows.tolist(), part.weights.tolist()) == ([1, 3], [1.0, 0.5])
    assert notes == ["1 row has no y, and is left out"]


def test_labels_of_a_data_set_that_says_nothing_of_them_are_its_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = {"a": X, "b": X[:, 0]}
    labels = {"c": np.arange(200) % 3, "d": X[:, :1].astype(np.float32)}
    split = Split(inputs, labels)
    spec = Dataset(split, split, split, num_classes={"c": 3, "d": 1}).spec
    part, notes = labelled(spec, **inputs, c=labels["c"], d=np.arange(200)[:, None], more=X)
    assert (list(part.inputs), list(part.labels), notes) == (["a", "b"], ["c", "d"], [])
    assert part.labels["d"].dtype == np.float32
    with pytest.raises(DlrunError, match="has no array 'd': a, b, c") as caught:
        labelled(spec, **inputs, c=labels["c"])
    assert caught.value.hint == "numpy.savez('new.npz', a=..., b=..., c=..., d=...)"


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"x": X}, "--data new.npz: has no array 'y': x"),
        ({"x": X, "y": np.zeros(199, int)}, r"array y has shape \(199,\), and there are 200"),
        ({"x": X, "y": np.zeros((200, 2), int)}, "has 2 labels for each sample, and the run"),
        ({"x": X, "y": np.arange(200)}, r"--data new.npz: y\[2\] 2 is not one of 0, 1"),
        ({"x": X[:, :1], "y": np.zeros(200, int)}, r"expected shape \(samples, "),
        ({"x": X, "y": np.zeros(200, int), "w": np.ones(3)}, r"array w has shape \(3,\)"),
    ],
)
def test_wrong_arrays_with_labels_are_named(tmp_path, monkeypatch, arrays, problem):
    monkeypatch.chdir(tmp_path)
    spec = source(np.arange(200) % 2).dataset().spec
    with pytest.raises(DlrunError, match=problem):
        labelled(spec, **arrays)


def test_labels_need_one_file_with_the_samples():
    spec = source(np.arange(200) % 2).dataset().spec
    for name, problem in (("new.npy", "holds no labels"), ("new.csv", "expected a .npz file")):
        with pytest.raises(DlrunError, match=problem) as caught:
            open_reader(Request(Path(name), spec, key="--data", labels=True))
        assert caught.value.hint.startswith("numpy.savez('new.npz', x=inputs, y=labels)")


def test_a_histogram_of_a_large_array_is_that_of_some_values_of_every_place():
    pictures = np.tile(np.array([10, 20, 40], np.uint8), (1900, 32, 32, 1))
    pictures[0, 0, 0] = 0, 90, 100
    described = describe_array("x", "input", pictures)
    assert (described["low"], described["high"]) == (0, 100)
    edges, counts = described["histogram"].values()
    assert (edges[0], edges[-1], len(counts)) == (0, 100, 20)
    assert 500_000 < sum(counts) <= MOST_BINNED
    thirds = [counts[place] / sum(counts) for place in (2, 4, 8)]
    assert thirds == pytest.approx([1 / 3] * 3, abs=0.001)


def test_a_histogram_of_a_small_array_is_that_of_all_values():
    described = describe_array("x", "input", np.array([[1, np.nan], [3, 3]], np.float32))
    assert sum(described["histogram"]["counts"]) == 3
    described = describe_array("x", "input", np.array([True, False, True]))
    counts = described["histogram"]["counts"]
    assert (counts[0], counts[-1], sum(counts)) == (1, 2, 3)
    near = [np.array([1, np.nextafter(1, 2)]), np.linspace(-6e4, 6e4, 9, dtype=np.float16)]
    for values in (*near, np.float32(1.764e9) + np.arange(1800, dtype=np.float32)):
        counts = describe_array("x", "input", values)["histogram"]["counts"]
        assert sum(counts) == len(values)
    for same in ([2.0, 2.0], [1, np.inf], [np.nan]):
        assert describe_array("x", "input", np.array(same))["histogram"] is None

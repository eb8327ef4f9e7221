"""What a function of one's own returns becomes a data set."""

import numpy as np
import pytest

from dlrun.data.dataset import Split, split_off
from dlrun.data.function import function
from dlrun.errors import DlrunError

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 3))
Y = np.arange(120) % 3
FRAME = pd.DataFrame({"a": X[:, 0], "town": np.asarray(["Bonn", "Ulm"])[Y % 2], "price": X[:, 1]})


def source(returned, **options):
    return function(function="my.load", call=lambda: returned, **options)


@pytest.mark.parametrize(
    ("returned", "options", "task", "sizes"),
    [
        (FRAME, {"target": "price"}, "regression", [84, 18, 18]),
        (pa.table({"a": X[:, 0], "b": Y}), {"target": "b"}, "classification", [84, 18, 18]),
        ((FRAME[["a", "price"]], FRAME["town"]), {}, "binary_classification", [84, 18, 18]),
        ((X, Y), {"test": 0.25, "validation": 0.0}, "classification", [90, 0, 30]),
        (({"l": X, "r": X}, Y), {}, "classification", [84, 18, 18]),
        (((X[:100], Y[:100]), (X[100:], Y[100:])), {}, "classification", [85, 15, 20]),
        ((Split(X, Y), Split(X[:9], Y[:9]), Split(X[:7], Y[:7])), {}, "classification",
         [120, 9, 7]),
        (split_off(X, Y, Split(X, Y), validation_samples=20, limit=None, num_classes=3), {},
         "classification", [100, 20, 120]),
    ],
    ids=["pandas", "pyarrow", "frame and series", "x and y", "two inputs", "train and test",
         "three splits", "a data set"],
)  # fmt: skip
def test_splits_and_task_are_found_in_what_it_returns(returned, options, task, sizes):
    of = source(returned, **options)
    data = of.dataset()
    assert of.tasks() == {None: task}
    assert [len(data.train), len(data.validation), len(data.test)] == sizes
    assert of.describe().samples == sum(sizes)


def test_labels_beside_a_table_are_taken_in_its_order_and_may_be_missing():
    labels = pd.Series(Y, dtype="Int64", name="kind").where(Y < 2)
    of = source((FRAME[["a"]], labels))
    assert of.describe().samples == 80
    assert of.tasks() == {None: "binary_classification"}
    # Another index says nothing of the order.
    assert source((FRAME[["a"]], labels.set_axis(range(7, 127)))).describe().samples == 80


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "data.function=my.load returned NoneType"),
        ((X, Y, X, Y), "returned a tuple of ndarray, ndarray, ndarray, ndarray"),
        ((X, Y[:9]), "the arrays differ in their number of samples: (120, 3), (9,)"),
        (FRAME, "data.target: needs a column of data.function=my.load: a, town, price"),
        (pd.DataFrame({"a": [object()]}), "data: the table can't be read: "),
        (pd.DataFrame({"a": [2**64]}), "data: the table can't be read: "),
        (pd.DataFrame({"a": [1, "x"]}), "Conversion failed for column a with type"),
        (pd.DataFrame({"a": X[:, 0] + 1j}), "column a with type complex128: Unsupported numpy"),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])}), "Sparse pandas data (column a)"),
        (pd.DataFrame(X[:, :2], columns=["a", "a"]), "my.load has two columns named 'a'"),
        ((FRAME, FRAME["town"].sample(frac=1, random_state=0)), "index of the rows in another"),
        ((FRAME, np.eye(120)), "the labels beside a table: only handle 1-dimensional arrays"),
        ((FRAME, pd.Series([1, "x"] * 60)), "the labels beside a table: "),
        ((np.ma.masked_greater(X, 1), Y), "my.load: an array has masked values"),
        (({"l": X}, np.ma.masked_equal(Y, 1)), "my.load: an array has masked values"),
        (({"l": X}, {"a": Y, "b": Y}), "my.load: returned labels by name: a, b"),
        ((({"l": X, "r": X}, Y), ({"l": X}, Y)), "my.load: the splits have inputs of different"),
        ((({"l": X}, Y), (X, Y)), "my.load: the splits have inputs of different names"),
        ((X, np.stack([Y, Y], 1)), "my.load: the labels are 2 columns of integers, expected 0 and"),
    ],
    ids=["nothing", "four arrays", "other lengths", "no target", "objects", "large", "mixed types",
         "complex", "sparse", "two of a name", "shuffled labels", "a matrix beside a table",
         "mixed labels", "masked", "masked labels", "labels by name", "an input less",
         "inputs without names", "columns of class numbers"],
)  # fmt: skip
def test_anything_else_is_refused_in_a_line(returned, message):
    with pytest.raises(DlrunError) as caught:
        source(returned).dataset()
    assert message in caught.value.message
    assert "\n" not in caught.value.message


MODULE = """
import numpy as np


def load(rows=90):
    with open("calls", "a") as file:
        file.write("x")
    values = np.random.default_rng(0).normal(size=(rows, 3))
    return values, values.sum(axis=1) > 0


def early():
    import sys, types

    sys.modules["keras"] = types.ModuleType("keras")  # as if it were imported, which takes seconds
    return load()


def broken():
    raise ValueError("no such server\\nat all")


def leaves():
    raise SystemExit(0)
"""


@pytest.mark.trains
def test_a_run_calls_the_function_once_and_is_evaluated_again(dlrun):
    (dlrun.cwd / "my_rows.py").write_text(MODULE)
    option = dlrun.cwd / "configs" / "data" / "rows.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("defaults:\n  - function\n  - _self_\n\nfunction: my_rows.load\n")
    words = ("data=rows", "epochs=3", "batch_size=8", "+data.arguments.rows=300")
    run = dlrun.warm("jax", "train", *words)
    assert (dlrun.cwd / "calls").read_text() == "x"
    assert "binary_accuracy" in run["test"]
    again = dlrun.warm("jax", "evaluate", "latest")
    assert again["metrics"]["loss"] == pytest.approx(run["test"]["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_rows.early", "task=auto: my_rows.early imports keras, and the task is found before"),
        ("my_rows.broken", "data.function=my_rows.broken raised ValueError: no such server"),
        ("my_rows.leaves", "data.function=my_rows.leaves raised SystemExit: 0 ("),
        ("my_rows.nothing", "data: my_rows.nothing can't be imported"),
        ("os.system", "data.function=os.system: os.system is never called from a config"),
    ],
)
def test_a_function_that_can_not_be_used_is_reported(dlrun, name, message):
    (dlrun.cwd / "my_rows.py").write_text(MODULE)
    words = ("train", "data=function", f"data.function={name}")
    # Keras is not imported yet in a process that has just begun.
    done = dlrun(*words) if name == "my_rows.early" else dlrun.within("jax", *words)
    assert done.returncode == 2
    assert f"error: {message}" in done.stderr


@pytest.mark.trains
def test_a_recorded_config_does_not_trust_the_function_it_names(dlrun):
    (dlrun.cwd / "my_rows.py").write_text(MODULE)
    other = ["data=function", "data.function=my_rows.load"]
    done = dlrun.within("jax", "data", *other)
    assert done.returncode == 0, done.stderr
    assert "binary_classification of y" in done.stdout
    option = dlrun.cwd / "configs" / "data" / "rows.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: dlrun.data.function.function\nfunction: shutil.rmtree\n"
                      "call: {_target_: shutil.rmtree, _partial_: true}\n")  # fmt: skip
    done = dlrun.within("jax", "data", "data=rows")
    assert done.returncode == 2
    assert "shutil.rmtree is never called from a config" in done.stderr


def test_a_module_that_exits_is_named(dlrun):
    (dlrun.cwd / "my_script.py").write_text("def load(): ...\n\n\nraise SystemExit(0)\n")
    done = dlrun.here("data", "data=function", "data.function=my_script.load")
    assert done.returncode == 2
    assert "error: data: my_script.load can't be imported: its module exits" in done.stderr


def test_arguments_that_the_function_does_not_take_are_told_without_a_place_in_hydra(dlrun):
    (dlrun.cwd / "my_rows.py").write_text(MODULE)
    words = ("data=function", "data.function=my_rows.load", "data.arguments.row=9")
    done = dlrun.here("data", *words)
    assert done.returncode == 2
    assert "load() got an unexpected keyword argument 'row'\n" in done.stderr
    assert "hint: data.arguments.NAME=VALUE" in done.stderr

"""The data sets that scikit-learn brings, as tables and as images."""

import sys
import time

import numpy as np
import pytest
from sklearn import datasets

from conftest import Dlrun
from dlrun.data.sklearn import BUNDLED, sklearn
from dlrun.data.splits import TEST, TRAIN
from dlrun.errors import DlrunError

TASKS = {
    "breast_cancer": "binary_classification",
    "diabetes": "regression",
    "digits": "classification",
    "iris": "classification",
    "linnerud": "regression",
    "wine": "classification",
}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_set_is_a_table_with_its_own_target(name):
    source = sklearn(name=name)
    bunch = getattr(datasets, f"load_{name}")()
    data = source.dataset()
    assert source.tasks() == {None: TASKS[name]}
    assert len(data.train) + len(data.validation) + len(data.test) == len(bunch.data)
    train, test = source.splits == TRAIN, source.splits == TEST
    # Standardized by the training split's own numbers; columns of one value are left out.
    kept = bunch.data.std(axis=0) > 0
    mean, deviation = bunch.data[train].mean(axis=0), bunch.data[train].std(axis=0)
    expected = (bunch.data - mean)[test][:, kept] / np.where(deviation > 0, deviation, 1)[kept]
    np.testing.assert_allclose(data.test.inputs, expected, atol=2e-6)
    target = data.targets
    if TASKS[name] == "regression":
        assert target.columns == tuple(getattr(bunch, "target_names", ["target"]))
        restored = target.restore(data.test.labels)
        truth = bunch.target[test].reshape(len(restored), -1)
        np.testing.assert_allclose(restored, truth, rtol=1e-5)
    else:
        names = np.asarray(target.classes)[data.test.labels]
        assert names.tolist() == [str(n) for n in bunch.target_names[bunch.target[test]]]


def test_digits_are_images_too_on_the_same_split():
    images, columns = sklearn(name="digits", images=True), sklearn(name="digits")
    data, bunch = images.dataset(), datasets.load_digits()
    test = columns.splits == TEST
    np.testing.assert_array_equal(data.test.inputs, bunch.images[test])
    np.testing.assert_array_equal(data.test.labels, bunch.target[test])
    assert (data.test.inputs.dtype, data.input_shape, data.scale) == (np.uint8, (8, 8), 16)
    assert images.tasks() == {None: "classification"}
    assert images.describe().classes["target"]["3"] == (bunch.target == 3).sum()


def test_other_columns_can_be_the_target():
    source = sklearn(name="iris", target="petal width (cm)")
    assert source.tasks() == {None: "regression"}
    assert source.inputs["target"][0] == "category"


def test_a_table_takes_all_options_of_tables_and_images_those_of_arrays():
    options = {"drop": ["petal width (cm)"], "split": "group", "by": "sepal width (cm)"}
    source = sklearn(name="iris", **options, numbers={"scale": "min_max"})
    assert [*source.inputs] == ["sepal length (cm)", "petal length (cm)"]
    widths = datasets.load_iris().data[:, 1]
    assert all(len({*source.splits[widths == width].tolist()}) == 1 for width in widths)
    inputs = source.dataset().train.inputs
    assert (inputs.min(axis=0) == 0).all() and (inputs.max(axis=0) == 1).all()
    assert len(sklearn(name="digits", images=True, drop=[], limit=5).dataset().train) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "boston"}, "data.name=boston: expected one of breast_cancer, diabetes"),
        ({"name": "wine", "images": True}, "data.images=true: wine has no images"),
        ({"name": "wine", "split": "sorted"}, "data.split=sorted: expected auto, random"),
    ],
)
def test_what_there_is_not_is_refused(options, message):
    with pytest.raises(DlrunError) as caught:
        sklearn(**options)
    assert caught.value.message.startswith(message)


def test_what_would_be_downloaded_is_named_within_a_second(monkeypatch, tmp_path):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "none"))
    start = time.perf_counter()
    with pytest.raises(DlrunError) as caught:
        sklearn(name="california_housing")
    assert time.perf_counter() - start < 1
    assert str(tmp_path / "none" / "cal_housing_py3.pkz") in caught.value.message
    assert not (tmp_path / "none").exists()


def test_a_set_in_the_cache_is_described_without_a_framework(dlrun: Dlrun):
    sklearn(name="wine").describe()
    done, imported = dlrun.traced("data", "data=sklearn", "data.name=wine")
    assert done.returncode == 0, done.stderr
    assert "classification of target" in done.stdout
    assert not {"sklearn", "keras", "jax", "tensorflow", "torch"} & imported
    assert "sklearn" in sys.modules
